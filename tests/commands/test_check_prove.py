"""`nathb check --prove`: which flags go together, and the yes."""

from __future__ import annotations

import argparse

import pytest

from nathb.aws.reader import Reader
from nathb.cli import main
from nathb.commands import check
from nathb.core.errors import UsageError
from nathb.provision.inventory import survey
from nathb.provision.proof import DESTINATION, Proof
from tests.aws.world import World
from tests.commands.test_command_line import EXAMPLE

Shown = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--prove"], "--prove shows how EC2 behaves, so it goes with --aws; add --aws"),
        (["--yes"], "--yes answers what --prove asks; add --prove, or leave out --yes"),
        (["--aws", "--prove", "--json"], "there is nobody to ask; read what --prove does"),
    ],
)
def test_flags_that_do_not_go_together_are_a_matter_of_usage(
    flags: list[str], says: str, capsys: Shown
) -> None:
    assert main(["check", str(EXAMPLE), *flags]) == 2
    assert says in capsys.readouterr().err


def test_the_proof_says_what_it_will_do_and_does_nothing_without_a_yes(
    world: World, calls: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    proof = Proof(world.ec2, survey(Reader(world.ec2), world.group))
    calls.clear()
    given = argparse.Namespace(json=False, yes=False)
    with pytest.raises(UsageError, match="check --prove: there is nobody to ask"):
        list(check._proven(proof, given))
    monkeypatch.setattr(check, "is_confirmed", lambda *_: False)
    (found,) = check._proven(proof, given)
    assert found.text == "was not wanted, and nothing was changed"
    assert calls == []
    said = f"the proof creates the route {world.private['nat-a']} {DESTINATION}, points it at nat-a"
    assert capsys.readouterr().out.startswith(said)
