"""What a router prints, and the prefixes in it; whatever is not understood is no reading at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nathb.core.errors import ReadingError
from nathb.core.prefixes import MOST_BYTES, MOST_PREFIXES, parse_prefixes

FRR = {
    "10.8.0.0/16": [
        {
            "prefix": "10.8.0.0/16",
            "protocol": "bgp",
            "selected": True,
            "installed": True,
            "nexthops": [{"ip": "169.254.10.2", "active": True, "interfaceName": "vti1"}],
        },
        {"prefix": "10.8.0.0/16", "protocol": "bgp"},
    ],
    "10.9.0.0/16": [{"prefix": "10.9.0.0/16", "protocol": "bgp"}],
    "2001:DB8:0::/48": [{"selected": True}],
}
KERNEL = [
    {"dst": "10.8.0.0/16", "gateway": "169.254.10.2", "dev": "vti1", "flags": []},
    {"dst": "10.8.7.1", "dev": "vti1", "flags": []},
    {"dst": "default", "dev": "vti1", "flags": []},
    {"dst": "10.10.0.0/16", "dev": "vti2", "flags": ["dead", "linkdown"]},
    {"type": "blackhole", "dst": "10.11.0.0/16", "flags": []},
]


def test_frr_s_json_gives_the_prefixes_that_have_a_selected_route() -> None:
    assert parse_prefixes(json.dumps(FRR).encode()) == {"10.8.0.0/16", "2001:db8::/48"}


def test_iproute2_s_json_gives_what_the_kernel_can_forward_and_not_the_default_route() -> None:
    assert parse_prefixes(json.dumps(KERNEL).encode()) == {"10.8.0.0/16", "10.8.7.1/32"}


def test_lines_give_a_prefix_each_with_remarks_and_blank_lines_between() -> None:
    text = b"# by our script\n10.8.0.0/16\n\n  10.9.0.0/16  # branch\r\n2001:DB8::/32\n10.1.2.3\n"
    assert parse_prefixes(text) == {
        "10.8.0.0/16", "10.9.0.0/16", "2001:db8::/32", "10.1.2.3/32",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "no prefix at all"),
        (b" \n# nothing\n", "no prefix at all"),
        (b"{}", "no prefix at all"),
        (b"[ ]", "no prefix at all"),
        (b'{"10.9.0.0/16": [{}]}', "no prefix at all"),
        (b"10.8.0.0/16\n10.9.0.1/16\n", "'10.9.0.1/16' is no prefix"),
        (b"10.8.0.0/16\n10.9.0.", "'10.9.0.' is no prefix"),
        (b"fe80::%eth0/64\n", "is no prefix"),
        (b"% Unknown command: show ip rout\n", "is no prefix"),
        (b"\x1b[31m\x00\xff\n", "is no prefix"),
        (b'{"10.8.0.0/16": [{"selected": true}]', "no JSON as `show ip route json`"),
        (b'{"vrfId": 0, "routes": {}}', "no JSON as `show ip route json`"),
        (b'{"hello": [{"selected": true}]}', "'hello' is no prefix"),
        (b'[{"gateway": "10.0.0.1"}]', "no JSON as `ip -json route show`"),
        (b"[" * 100_000, "no JSON as `ip -json route show`"),
        (b'{"a":' * 100_000, "no JSON as `show ip route json`"),
        (b'{"\xff": []}', "no JSON as `show ip route json`"),
        (b"1" * (MOST_BYTES + 1), f"more than {MOST_BYTES} bytes"),
        (
            "\n".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(MOST_PREFIXES + 1)).encode(),
            f"more than {MOST_PREFIXES} prefixes",
        ),
    ],
    ids=range(19),
)
def test_what_is_not_understood_whole_is_no_reading_and_says_why(text: bytes, why: str) -> None:
    with pytest.raises(ReadingError) as refusal:
        parse_prefixes(text)
    assert why in str(refusal.value)
    assert len(str(refusal.value)) < 500
    assert str(refusal.value).isprintable()


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,10./a', max_size=60).map(str.encode))
def test_nothing_that_a_program_prints_is_worse_than_a_failed_reading(text: bytes) -> None:
    try:
        found = parse_prefixes(text)
    except ReadingError:
        return
    assert found
