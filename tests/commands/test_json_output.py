"""What --json prints: today's keys, and those of 0.1 beside them."""

from __future__ import annotations

import json

from nathb.core.errors import bad
from nathb.ui.json_output import json_text


def test_a_renamed_key_is_printed_under_its_old_name_too_at_any_depth() -> None:
    printed = json.loads(json_text({"findings": (bad("nat-a", "is dead", "start it"),)}))
    [finding] = printed["findings"]
    assert finding["fix"] == finding["mend"] == "start it"
    assert list(printed) == ["findings"]


def test_what_has_no_renamed_key_is_printed_as_it_is() -> None:
    assert json_text({"good": True, "steps": [1, {"text": "x"}]}) == (
        '{"good":true,"steps":[1,{"text":"x"}]}'
    )
