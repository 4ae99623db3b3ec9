# What building nathb needs from the system, for scripts to source.
#
#   need PACKAGE CHECK...   note PACKAGE, by its Debian name, as missing when CHECK fails
#   need_to_build           the same for all that it takes to build nathb with $PYTHON, and with it
#                           what has no wheel
#   need_journal            install python3-systemd, if $PYTHON is the system's python3; fails
#                           where that brings nothing for $PYTHON
#   install_missing         install what was noted: by apt or dnf, through sudo when not root;
#                           where there is neither, say what is missing and fail

missing=

need() {
    package=$1
    shift
    "$@" >/dev/null 2>&1 || missing="$missing $package"
}

python_h() {
    "$PYTHON" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
}

need_venv() {
    need python3-venv "$PYTHON" -c 'import ensurepip, venv'
}

journal_of_system() {
    "$PYTHON" -I -B "$(dirname "$0")/distribution.py" >/dev/null 2>&1
}

need_journal() {
    journal_of_system && return 0
    [ "$(readlink -f "$(command -v "$PYTHON")")" = "$(readlink -f /usr/bin/python3)" ] || return 1
    missing=" python3-systemd"
    install_missing || true
    missing=
    journal_of_system
}

need_to_build() {
    need_venv
    need python3-dev python_h
    need gcc sh -c 'command -v gcc || command -v cc'
    need pkg-config command -v pkg-config
    need libsystemd-dev pkg-config --exists libsystemd
}

rpm_name() {
    case $1 in
    python3-venv) echo python3.11 python3.11-pip ;;
    python3-dev) echo python3.11-devel ;;
    pkg-config) echo pkgconf-pkg-config ;;
    libsystemd-dev) echo systemd-devel ;;
    iproute2) echo iproute ;;
    iputils-ping) echo iputils ;;
    procps) echo procps-ng ;;
    *) echo "$1" ;;
    esac
}

as_root() { # through env, since sudo would drop the settings
    set -- env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes LC_ALL=C.UTF-8 "$@"
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null
}

install_missing() {
    [ -n "$missing" ] || return 0
    if command -v apt-get >/dev/null; then
        how="apt-get install --no-install-recommends$missing"
    elif command -v dnf >/dev/null; then
        names=
        for package in $missing; do names="$names $(rpm_name "$package")"; done
        missing=$names
        how="dnf install$missing"
    else
        echo "Missing, by their Debian names:$missing." \
            "Install them with this system's packages." >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "Missing:$missing. Run as root: $how" >&2
        return 1
    fi
    echo "Installing$missing"
    # shellcheck disable=SC2086  # one word per package
    if command -v apt-get >/dev/null; then
        apt update || true # one broken source of many is no reason to stop
        apt install -y --no-install-recommends $missing
    else
        as_root dnf install --quiet --assumeyes $missing
    fi || {
        echo "Not installed. Run as root: $how" >&2
        return 1
    }
}
