"""Programs that are interrupted: while they start, and after they have written the file."""

from __future__ import annotations

import io
import signal
import subprocess
from pathlib import Path

import pytest

from nathb.cli import main
from nathb.commands import plan, replace
from tests.commands.installed import command, environment
from tests.commands.test_command_line import EXAMPLE

# --- ^C while the installed program imports what it needs -----------------------------------------

# Whoever runs the suite in the background may have SIGINT ignored, which is inherited.
INTERRUPTIBLE = ("env", "--default-signal=INT")
INTERRUPTS = """\
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
"""
MODULES = [
    *("nathb.cli", "argparse", "nathb.commands", "msgspec", "nathb.core.model", "yaml"),
    *("boto3", "botocore.session", "urllib3", "icmplib", "nathb.host.streams"),
]


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_while_it_imports_is_130_without_a_word(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    variables = environment(INTERRUPT_AT=module)
    variables["PYTHONPATH"] = f"{tmp_path}:{variables['PYTHONPATH']}"
    done = subprocess.run(
        [*INTERRUPTIBLE, *command(tmp_path, "check", str(EXAMPLE))],
        env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    variables = environment(INTERRUPT_AT="boto3")
    variables["PYTHONPATH"] = f"{tmp_path}:{variables['PYTHONPATH']}"
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command(tmp_path, "check", str(EXAMPLE))],
        env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


LAST_COLLECTION = """\
import atexit, gc
atexit.register(lambda: print(f"left to the collector: {len(gc.get_objects())}"))
"""


def test_the_interpreters_end_collects_nothing_of_what_was_imported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(LAST_COLLECTION)
    variables = environment()
    variables["PYTHONPATH"] = f"{tmp_path}:{variables['PYTHONPATH']}"
    done = subprocess.run(
        command(tmp_path, "check", str(EXAMPLE)),
        env=variables, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    left = int(done.stdout.splitlines()[-1].removeprefix("left to the collector: "))
    assert left < 100  # several 10,000 after an import of botocore


def test_ctrl_c_while_a_verb_waits_is_130_without_a_word(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*INTERRUPTIBLE, *command(tmp_path, "status", str(EXAMPLE), "--watch")],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "")


# --- `nathb replace` ------------------------------------------------------------------------------

NEW = "i-0123456789abcdef0"


def interrupted(*_: object) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_after_the_file_is_written_says_what_it_names_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tokyo.yaml"
    file.write_text(EXAMPLE.read_text())
    monkeypatch.setattr(replace, "_expect", lambda *_: None)
    monkeypatch.setattr(replace, "apply", interrupted)
    assert main(["replace", str(file), "nat-a", NEW]) == 130
    assert NEW in file.read_text()
    assert capsys.readouterr().err == (
        f"nathb: ended early: {file} names {NEW} for nat-a now, and that stays; "
        f"`nathb apply {file}` makes EC2 match it, "
        "`nathb replace` with the old instance undoes it\n"
    )


class Terminal(io.StringIO):
    """A person's terminal on which ^D is typed."""

    def isatty(self) -> bool:
        return True


def test_ctrl_d_for_an_answer_is_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    assert plan._is_wanted() is False
    assert capsys.readouterr().out == "Carry this out? [y/N] \n"
