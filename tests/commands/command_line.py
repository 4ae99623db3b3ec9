"""Carries out command lines off EC2: in this process, or in one of its own where that matters."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from nathb.cli import main

ROOT = Path(__file__).parents[2]
OFF_EC2 = {
    "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9",
    "AWS_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


class Answer(NamedTuple):
    """What a command line came to."""

    returncode: int
    stdout: str
    stderr: str


def nathb(*arguments: str, **variables: str) -> Answer:
    """Carry out a command line in this process, off EC2; nothing else of AWS is in the environment.

    What would be a traceback is raised.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patched.delenv(name)
        for name, value in {**OFF_EC2, **variables}.items():
            patched.setenv(name, value)
        returncode = main(arguments)
    return Answer(returncode, out.getvalue(), err.getvalue())


def in_a_process(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Carry out a command line in a process of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "nathb", *arguments],
        env=kept | OFF_EC2 | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done
