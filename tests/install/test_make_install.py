"""`make install` and `make uninstall`, and the check of the system that they begin with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nathb import __version__
from nathb.cli import parser
from tests.install.built import (
    CHECKOUT,
    CLONED,
    OFFLINE,
    PYTHON,
    VERSION,
    WHEELS,
    Built,
    make,
    release,
)
from tests.install.documents import blocks
from tests.install.root import Root

PREPARE = CHECKOUT / "packaging" / "prepare"
SETTLE = CHECKOUT / "packaging" / "settle"


def shell(script: str, *arguments: object, **env: str) -> str:
    done = subprocess.run(
        ["bash", "-c", script, "bash", *map(str, arguments)],
        env=os.environ | env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def files(tree: Path) -> set[str]:
    return {str(one.relative_to(tree)) for one in tree.rglob("*") if not one.is_dir()}


def test_a_failed_installation_leaves_the_one_before_as_it_was(tmp_path: Path) -> None:
    before = tmp_path / "opt" / "nathb" / "bin" / "nathb"
    before.parent.mkdir(parents=True)
    before.write_text("the one before")
    nowhere = {"PIP_FIND_LINKS": str(tmp_path / "nowhere")}
    done = make("install", f"DESTDIR={tmp_path}", f"PYTHON={PYTHON}", env=nowhere)
    assert done.returncode != 0
    assert "not installed; what is wrong is said above" in done.stdout
    assert files(tmp_path) == {"opt/nathb/bin/nathb"}
    assert before.read_text() == "the one before"
    assert os.listdir(tmp_path / "opt") == ["nathb"]


def test_an_extra_comes_with_the_installation_that_names_it_and_not_without(
    built: Built, tmp_path: Path
) -> None:
    done = make("install", f"DESTDIR={tmp_path}", f"PYTHON={PYTHON}", "EXTRAS=metrics")
    assert done.returncode == 0, done.stdout
    *_, installing, made_of = done.stdout.splitlines()
    assert installing == f"Installing into {tmp_path}/opt/nathb for {PYTHON}"
    assert made_of.endswith(f". The bill: {tmp_path}/opt/nathb/bom.json")
    library = f"opt/nathb/lib/{VERSION}/site-packages/prometheus_client/__init__.py"
    assert library in files(tmp_path)
    assert library not in files(built.tree)


def test_an_extra_that_there_is_not_is_named_before_anything_is_made(tmp_path: Path) -> None:
    done = make("install", f"DESTDIR={tmp_path}", f"PYTHON={PYTHON}", "EXTRAS=metrics,plots")
    assert done.returncode != 0
    assert "EXTRAS=metrics,plots: no extra is called plots; there are: metrics, plot" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_uninstall_takes_everything_but_the_settings(built: Built, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(built.tree, tree, symlinks=True)
    page = tree / "usr/share/man/man8/nathb.8"
    page.with_name("nathb.8.gz").rename(page)  # which is what the package has made of it
    zsh = "ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions"
    done = make("uninstall", f"DESTDIR={tree}", "PREFIX=/usr", zsh)
    assert done.returncode == 0, done.stdout
    assert {Path(one).parts[:2] for one in files(tree)} == {("etc", "nathb")}


def test_what_an_operator_has_changed_is_kept_and_the_new_one_put_beside_it(tmp_path: Path) -> None:
    shipped = tmp_path / "settings.env"
    there = tmp_path / "etc" / shipped.name
    shipped.write_text("one")
    assert shell('"$@"', SETTLE, shipped, there.parent) == ""
    there.write_text("mine")
    shipped.write_text("two")
    assert "stays as it is" in shell('"$@"', SETTLE, shipped, there.parent)
    assert (there.read_text(), there.with_name("settings.env.new").read_text()) == ("mine", "two")
    there.write_text("two")
    assert shell('"$@"', SETTLE, shipped, there.parent) == ""
    assert files(there.parent) == {"settings.env"}


def test_the_documents_that_the_readme_links_to_come_with_it(built: Built) -> None:
    place = built.tree / "usr" / "share" / "doc" / "nathb"
    linked = re.findall(r"\]\((docs/[^)#]+)", (place / "README.md").read_text())
    assert "docs/proven.md" in linked
    assert [one for one in linked if not (place / one).exists()] == []


def test_the_man_page_is_sound_and_knows_every_verb_and_option(built: Built) -> None:
    page = built.tree / "usr/share/man/man8/nathb.8.gz"
    shown = shell('zcat "$1" | groff -mdoc -Tascii -ww -P-cbou', page)  # no complaint either
    (margin,) = re.findall(r"^NAME\n( +)", shown, re.M)  # 5 spaces, or 7 since groff 1.23
    (table,) = (one for one in parser()._actions if one.choices)
    assert isinstance(table.choices, dict)
    for name, verb in table.choices.items():
        (told,) = re.findall(rf"^{margin}{name}(?: .*)?\n((?:(?:{margin} .*)?\n)+)", shown, re.M)
        assert verb.epilog.removeprefix("example: ") in " ".join(told.split())
        options = [option for action in verb._actions for option in action.option_strings]
        for option in set(options) - {"-h", "--help"}:
            assert option in told


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["nathb", "st"], {"status"}),
        (["nathb", "run", "--d"], {"--dry-run"}),
        (["nathb", "check", "nathb/ex"], {"nathb/example.yaml"}),
    ],
)
def test_bash_completes_verbs_options_and_files(
    built: Built, typed: list[str], offered: set[str]
) -> None:
    script = """
        source "$1"; shift
        cd etc
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        function=$(complete -p nathb | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
        "$function" nathb "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    file = built.tree / "usr/share/bash-completion/completions/nathb"
    assert offered <= set(shell(script, file, *typed).split())


def test_a_python_that_services_cannot_read_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "python3"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    done = make("install", f"DESTDIR={tmp_path / 'to'}", f"PYTHON={fake}")
    assert done.returncode != 0
    assert f"{fake}: is not Python 3.11 or later that services may read" in done.stdout
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    ("manager", "asked"),
    [
        ("apt-get", "install -y --no-install-recommends gcc libsystemd-dev"),
        ("dnf", "install --quiet --assumeyes gcc systemd-devel"),
    ],
)
def test_what_is_missing_is_installed_by_its_name_on_this_system(
    tmp_path: Path, manager: str, asked: str
) -> None:
    tools = {"sh", "env", "id", "dirname", "readlink", "true"}
    for tool in tools:
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    stand_ins = {"pkg-config": "case $1 in --exists) exit 1 ;; esac", manager: 'echo "$*" >>"$LOG"'}
    for name, does in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    done = subprocess.run(
        ["/bin/sh", PREPARE],
        env={"PATH": str(tmp_path), "PYTHON": str(PYTHON), "LOG": str(log)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{PYTHON}\n")
    assert done.stderr.splitlines() == [
        "Installing python3-systemd",
        f"This system has no python3-systemd for {PYTHON}: systemd-python is compiled",
        f"Installing {' '.join(asked.split()[-2:])}",
    ]
    assert log.read_text().splitlines()[-1].endswith(asked)


def test_without_a_package_manager_it_says_what_is_missing(tmp_path: Path) -> None:
    for tool in ("sh", "dirname", "readlink"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    done = subprocess.run(
        ["/bin/sh", PREPARE],
        env={"PATH": str(tmp_path), "PYTHON": str(PYTHON)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    told = "Missing, by their Debian names: {}. Install them with this system's packages."
    assert done.stderr.splitlines() == [
        told.format("python3-systemd"),
        f"This system has no python3-systemd for {PYTHON}: systemd-python is compiled",
        told.format("gcc pkg-config libsystemd-dev"),
    ]


# --- the check of the system ----------------------------------------------------------------------

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SYSTEMD = ("systemctl", "journalctl")


@pytest.fixture
def cloned(root: Root) -> Root:
    """A root with a clone, and with something installed, which must stay."""
    for name in CLONED:
        root.bring(CHECKOUT / name, f"/checkout/{name}")
    root.write("/opt/nathb/bin/nathb", "the one before")
    return root


@pytest.mark.parametrize("goal", ["install", "uninstall"])
def test_a_plain_user_is_told_to_be_root(cloned: Root, goal: str) -> None:
    before = cloned.changed()
    done = cloned.run(*NOBODY, "make", "-C", "/checkout", goal)
    assert done.returncode != 0
    assert f"takes root: sudo make {goal}\n" in done.stdout
    assert "Permission denied" not in done.stdout
    assert cloned.changed() == before


@pytest.mark.parametrize("goal", ["install", "uninstall"])
@pytest.mark.parametrize("missing", [*[(one,) for one in SYSTEMD], SYSTEMD], ids=" ".join)
def test_a_system_without_systemd_is_told_so(
    cloned: Root, goal: str, missing: tuple[str, ...]
) -> None:
    cloned.did("rm", *(f"/usr/bin/{program}" for program in missing))
    before = cloned.changed()
    done = cloned.run("make", "-C", "/checkout", goal, env=OFFLINE)
    assert done.returncode != 0
    assert f"Missing: {' '.join(missing)}. nathb runs under systemd" in done.stdout
    assert cloned.changed() == before


def test_below_a_destdir_anybody_may_and_systemd_is_not_asked_for(cloned: Root) -> None:
    cloned.did("rm", *(f"/usr/bin/{program}" for program in SYSTEMD))
    cloned.did("install", "-D", "--owner=65534", "/dev/null", "/home/nobody/tree/opt/nathb/one")
    cloned.did("chown", "-R", "65534:65534", "/home/nobody")
    cloned.did(*NOBODY, "make", "-C", "/checkout", "uninstall", "DESTDIR=/home/nobody/tree")
    assert cloned.run("test", "-e", "/home/nobody/tree/opt/nathb").returncode != 0


def test_typed_as_the_document_has_it_a_folder_is_all_that_is_needed(
    cloned: Root, tmp_path: Path
) -> None:
    cloned.bring(WHEELS, "/wheels")
    cloned.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n', 0o755)
    (typed,) = (block for block in blocks("docs/install.md") if "make wheels" in block)
    collect, install = typed.splitlines()
    where = "cd /checkout; "
    newer = release(tmp_path, "icmplib", "raise RuntimeError('newer than what is locked')")
    cloned.bring(newer, f"/newer/{newer.name}")
    links = {"PIP_FIND_LINKS": "/wheels /newer"}  # what an index would offer
    cloned.did("sh", "-exc", where + collect, env=OFFLINE | links)
    cloned.did("rm", "-r", "/wheels", "/newer")
    cloned.did("sh", "-exc", where + install)
    assert cloned.did("nathb", "--version") == f"nathb {__version__}\n"
