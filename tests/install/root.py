"""A root of one's own: this machine's files below, and whatever is written kept apart."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

MOUNT = """
set -e
mount -t overlay -o lowerdir=/,upperdir=$1/upper,workdir=$1/work root $1/root
for one in proc dev; do mount --rbind /$one $1/root/$one; done
for one in run tmp; do mount -t tmpfs own $1/root/$one; done
[ ! -e $1/booted ] || mkdir -p $1/root/run/systemd/system
place=$1; shift
exec chroot $place/root "$@"
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OWN = ("/opt/nathb", "/etc/nathb", "/config", "/usr/local/bin/nathb", "/usr/bin/nathb")

# A program that notes how it was called, for one that has nothing to talk to here.
NOTE = '#!/bin/sh\necho "${0##*/} $*" >>/calls\n'


def obstacle() -> str:
    """Why there can be no such root, with the fix; empty when there can."""
    if Path("/proc/self/uid_map").read_text().split() != ["0", "0", "4294967295"]:
        return "to install packages takes root, not a user namespace; run `sudo make test`"
    return ""


class Root:
    """Commands run in it see what those before have written. Use it as a context manager."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="root-", dir="/dev/shm"))
        for name in ("upper", "work", "root"):
            (self.place / name).mkdir()
        self.did("rm", "-rf", *OWN)  # what somebody has installed here is not there

    def __enter__(self) -> Root:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.place)

    def run(
        self, *argv: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, to its end; it may fail. stdout and stderr are one."""
        mounted = ["unshare", "--mount", "--propagation=private", "sh", "-c", MOUNT, "sh"]
        return subprocess.run(
            [*mounted, str(self.place), *argv],
            env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"} | (env or {}),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )

    def did(self, *argv: str, env: dict[str, str] | None = None) -> str:
        """Run a command that must succeed; what it printed."""
        done = self.run(*argv, env=env)
        assert done.returncode == 0, f"{argv}: {done.stdout}"
        return done.stdout

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file there, below folders that are made for it."""
        self.did("sh", "-c", 'mkdir -p "${1%/*}"; printf %s "$2" >"$1"', "sh", path, text)
        self.did("chmod", f"{mode:o}", path)

    def bring(self, here: Path, there: str) -> None:
        """Copy a file or folder of this machine, one that the root does not have, into it."""
        copy = self.place / "upper" / there.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        if here.is_dir():
            shutil.copytree(here, copy, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(here, copy)

    def hide(self, path: str) -> None:
        """Make a folder empty, whatever this machine has in it."""
        folder = self.place / "upper" / path.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        os.setxattr(folder, "trusted.overlay.opaque", b"y")

    def listen(self, *programs: str) -> None:
        """From now on these note how they are called; and systemd counts as running."""
        (self.place / "booted").touch()
        for program in programs:
            self.write(f"/usr/local/bin/{program}", NOTE, 0o755)

    def calls(self) -> list[str]:
        """How they were called since the last time this was asked."""
        return self.run("sh", "-c", "cat /calls 2>/dev/null; rm -f /calls").stdout.splitlines()

    def changed(self) -> set[str]:
        """The paths that are there and were not, are otherwise than they were, or are gone."""
        upper = self.place / "upper"
        return {
            f"/{path}"
            for found in upper.rglob("*")
            if not (Path("/", path := found.relative_to(upper)).is_dir() and found.is_dir())
        }


def uncompiled(root: Root) -> int:
    """How many modules Python would compile at each start, as it may not write what it did."""
    script = "import sys; sys.dont_write_bytecode = True; import nathb.cli"
    told = root.did("/opt/nathb/bin/python", "-v", "-c", script).splitlines()
    assert any("code object from '/opt/nathb" in line for line in told), "those read ready-made"
    return sum("code object from /opt/nathb" in line for line in told)
