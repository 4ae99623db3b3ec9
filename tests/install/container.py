"""The image that packaging/container/Containerfile builds, and the container that docs/vyos.md
sets: read, and carried out without a container engine.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.install.built import CHECKOUT, Built
from tests.install.documents import blocks
from tests.install.root import PATH, Root

CONTAINERFILE = CHECKOUT / "packaging" / "container" / "Containerfile"
# There is no network here; what the package depends on, this machine has.
APT_GET = '#!/bin/sh\n[ "$1" = update ] || exec /usr/bin/apt-get "$@"\n'

RUN = """
set -e
root=$1/root
mount -t overlay -o lowerdir=/,upperdir=$1/upper,workdir=$1/work root $root
mount --rbind /dev $root/dev
mount -t proc proc $root/proc
for one in run tmp; do mount -t tmpfs own $root/$one; done
shift
while [ "$1" != -- ]; do
    if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; : >"$root$2"; fi
    mount --bind "$1" "$root$2"
    shift 2
done
shift
exec chroot $root "$@"
"""
"""RUN PLACE [SOURCE DESTINATION]... -- COMMAND..."""


@dataclass
class Image:
    """What an engine would keep of a Containerfile."""

    base: str = ""
    copied: tuple[str, str] = ("", "")
    commands: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"


def instructions() -> Iterator[tuple[str, str]]:
    """Yield each instruction of the Containerfile and the rest of its line."""
    text = re.sub(r"^#.*\n", "", CONTAINERFILE.read_text(), flags=re.M)
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if line:
            name, _, rest = line.partition(" ")
            yield name, rest


def read_image() -> Image:
    """Read the Containerfile; an instruction that is not carried out here is an error."""
    image = Image()
    for name, rest in instructions():
        match name:
            case "FROM":
                image.base = rest
            case "COPY":
                source, place = rest.split()
                image.copied = source, place
            case "RUN":
                image.commands.append(rest)
            case "ENV":
                key, _, value = rest.partition("=")
                image.environment[key] = value
            case "ENTRYPOINT":
                image.entrypoint = json.loads(rest)
            case "STOPSIGNAL":
                image.stop_signal = rest
            case "CMD":
                pass  # the container's own command comes in its place
            case _:
                raise AssertionError(f"{CONTAINERFILE.name}: {name} is not carried out here")
    return image


def build(image: Image, root: Root, built: Built) -> None:
    """Carry out the steps of an image in a root, with the Debian package in its folder."""
    pattern, place = image.copied
    assert built.package.match(pattern)
    root.write("/usr/local/bin/apt-get", APT_GET, 0o755)
    root.bring(built.package, f"{place.rstrip('/')}/{built.package.name}")
    for command in image.commands:
        root.did("sh", "-ec", command)


def settings() -> dict[tuple[str, ...], str]:
    """What docs/vyos.md sets for the container: the words of each line, and its value."""
    (block,) = (one for one in blocks("docs/vyos.md") if "set container name" in one)
    found = {}
    for line in block.splitlines():
        verb, *words = shlex.split(line)
        assert (verb, *words[:3]) == ("set", "container", "name", "nathb"), line
        *path, value = words[3:] if len(words) > 4 else (*words[3:], "")
        found[tuple(path)] = value
    return found


def command_line(image: Image, root: Root, sources: dict[str, Path]) -> list[str]:
    """The command line that runs the container of docs/vyos.md in a root, as its process 1.

    `sources` has what stands for a source that the document mounts and that is elsewhere here. The
    process that this starts is the parent of process 1, and ends as that one does.
    """
    wanted = settings()
    given = [
        str(one)
        for path, destination in wanted.items()
        if path[0] == "volume" and path[2] == "destination"
        for source in (wanted["volume", path[1], "source"],)
        for one in (sources.get(source, source), destination)
    ]
    capability = f"-all,+{wanted['capability',].replace('-', '_')}"
    variables = image.environment | {
        path[1]: value for path, value in wanted.items() if path[0] == "environment"
    }
    return [
        *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"),
        *("sh", "-c", RUN, "sh", str(root.place), *given, "--"),
        *("setpriv", "--no-new-privs", f"--bounding-set={capability}", f"--inh-caps={capability}"),
        *("env", "-u", "PYTHONPATH", f"PATH={PATH}", "HOME=/root"),
        *(f"{key}={value}" for key, value in variables.items()),
        *(*image.entrypoint, *shlex.split(wanted["command",])),
    ]
