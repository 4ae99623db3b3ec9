"""Who could change a hook, and what a hook may do: what is refused, and what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nathb.cli import main
from tests.host.hook_runner import HookRunner

STRANGER = 65534


def give_away(path: Path) -> None:
    """Make a file, folder or link somebody else's."""
    try:
        os.chown(path, STRANGER, -1, follow_symlinks=False)
    except OSError:  # in a user namespace where one user is mapped there is nobody else
        if os.environ.get("NATHB_LAB") == "required":
            raise
        pytest.skip("to give a file away takes root, not a user namespace; run `sudo make test`")


def linked(runner: HookRunner, folder: Path) -> Path:
    """Put a good hook into another folder, with a link to it in the directory of hooks."""
    folder.mkdir(mode=0o755)
    target = runner.hook("target", 'echo run >> "$WORD"').rename(folder / "target")
    (runner.directory / "10-link").symlink_to(target)
    return target


def refused(runner: HookRunner) -> str:
    """Why the only hook is not run."""
    [told] = runner.carry()
    assert runner.said() == []
    assert ": not run, because " in told
    return told.partition(": not run, because ")[2].removesuffix(" (event: took)")


def test_a_hook_of_another_owner_is_refused_with_the_fix_and_the_rest_run(
    runner: HookRunner,
) -> None:
    stranger = runner.hook("10-stranger", 'echo stranger >> "$WORD"')
    give_away(stranger)
    runner.hook("20-good", 'echo good >> "$WORD"')
    assert runner.carry() == [
        f"hook {stranger}: not run, because {stranger} belongs to user 65534, who is neither root "
        f"nor nathb's own user: chown root {stranger}, or put the hook where root owns every "
        "folder above it (event: took)"
    ]
    assert runner.said() == ["good"]


def test_a_hook_below_a_folder_of_another_owner_is_refused(
    runner: HookRunner, tmp_path: Path
) -> None:
    runner.hook("10-good", 'echo run >> "$WORD"')
    give_away(tmp_path)
    assert refused(runner).startswith(f"{tmp_path} belongs to user 65534, ")


def test_where_a_link_leads_to_counts_as_much_as_where_it_is(
    runner: HookRunner, tmp_path: Path
) -> None:
    target = linked(runner, tmp_path / "elsewhere")
    give_away(target)
    assert refused(runner).startswith(f"{target} belongs to user 65534, ")


def test_a_link_of_another_owner_is_refused(runner: HookRunner, tmp_path: Path) -> None:
    linked(runner, tmp_path / "elsewhere")
    give_away(runner.directory / "10-link")
    assert refused(runner).startswith(f"{runner.directory / '10-link'} belongs to user 65534, ")


def test_a_link_through_a_folder_that_others_may_write_is_refused(
    runner: HookRunner, tmp_path: Path
) -> None:
    target = linked(runner, tmp_path / "elsewhere")
    between = tmp_path / "between"
    between.mkdir()
    (between / "link").symlink_to(os.path.relpath(target, between))
    (runner.directory / "10-link").unlink()
    (runner.directory / "10-link").symlink_to(between / "link")
    assert runner.carry() == []
    between.chmod(0o777)
    assert refused_again(runner) == f"others may write to {between}: chmod go-w {between}"


def refused_again(runner: HookRunner) -> str:
    runner.word.unlink()
    return refused(runner)


def test_a_folder_above_may_be_like_tmp_and_the_directory_of_hooks_may_not(
    runner: HookRunner, tmp_path: Path
) -> None:
    runner.hook("10-good", 'echo run >> "$WORD"')
    tmp_path.chmod(0o1777)
    assert runner.carry() == []
    runner.directory.chmod(0o1777)
    assert f"others may write to {runner.directory}: " in refused_again(runner)


def test_a_link_that_cannot_be_followed_is_told_and_the_other_hooks_run(
    runner: HookRunner,
) -> None:
    loop = runner.directory / "10-loop"
    loop.symlink_to(loop)
    runner.hook("20-good", 'echo good >> "$WORD"')
    [told] = runner.carry()
    assert told.startswith(f"hook {loop}: not run, because {loop} cannot be read: Too many levels")
    assert runner.said() == ["good"]


# --- with what power ---------------------------------------------------------------------------

CAPABILITIES = 'grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status | cut -f2 > "$WORD"'
CARRY = """
import sys
from pathlib import Path
from nathb.host.hooks import Hooks
ours = Path("/proc/self/status").read_text()
assert f"CapAmb:\\t{1 << 13:016x}" in ours, ours
environ = {"PATH": "/usr/bin:/bin", "WORD": sys.argv[2]}
for failed in Hooks(Path(sys.argv[1]), environ=environ).carry({"NATHB_EVENT": "took"}):
    sys.exit(failed.message)
"""


def test_a_hook_of_root_has_no_capability(runner: HookRunner) -> None:
    runner.hook("10-capabilities", CAPABILITIES)
    assert runner.carry() == []
    assert runner.said() == ["0" * 16] * 4


def test_a_hook_does_not_inherit_the_raw_sockets_of_the_service(runner: HookRunner) -> None:
    runner.hook("10-capabilities", CAPABILITIES)
    # As the unit has it, AmbientCapabilities=CAP_NET_RAW; with noroot, root is a user like others.
    service = (
        *("setpriv", "--securebits=+noroot", "--inh-caps=-all,+net_raw"),
        *("--bounding-set=-all,+net_raw", "--ambient-caps=+net_raw", "--no-new-privs", "--"),
    )
    daemon = (sys.executable, "-B", "-c", CARRY, str(runner.directory), str(runner.word))
    subprocess.run([*service, *daemon], check=True, timeout=60)
    assert runner.said() == ["0" * 16] * 4


# --- before the daemon does -------------------------------------------------------------------

EXAMPLE = Path(__file__).parents[2] / "etc" / "nathb" / "example.yaml"


def test_check_warns_of_the_hooks_that_will_not_run(
    runner: HookRunner, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "tokyo.yaml"
    file.write_text(EXAMPLE.read_text())
    good = runner.hook("10-good", "exit 0")
    assert main(["check", str(file)]) == 0
    assert "this hook" not in capsys.readouterr().out
    good.chmod(0o775)
    assert main(["check", str(file)]) == 0, "a reload does not fail for it"
    assert capsys.readouterr().out.splitlines()[-2] == (
        f"{good}: this hook is not run, because others may write to {good}: chmod go-w {good} "
        "(warning)"
    )
