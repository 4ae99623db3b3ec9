"""What the text of one value may be: names, ids, durations, counts. Addresses: next door.

A *shape* takes the text as the file has it, and returns what the model wants, or raises
WrongError with what is wrong and the mend. Where the value stands is added by whoever asked.
"""

from __future__ import annotations

import re
from decimal import Decimal

from msgspec import Struct

from nathb.config.mistakes import WrongError, quote
from nathb.core.model import Preempt

# --- ids and names ----------------------------------------------------------------------------

_REGION = re.compile(r"([a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2})([a-z]?)")
_NODE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_TAG_KEY = re.compile(r"tag:.{1,128}", re.DOTALL)
_LONGEST_TAG_VALUE = 256


class Id(Struct, frozen=True):
    """An id as EC2 makes them: a prefix, and 8 (before 2016) or 17 hexadecimal digits."""

    prefix: str
    thing: str

    def __call__(self, text: str) -> str:
        """Return the id as it is."""
        if re.fullmatch(rf"{self.prefix}-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})", text):
            return text
        raise WrongError(
            f"{quote(text)} is not the id of {self.thing}; "
            f"write {self.prefix}- and 8 or 17 digits of 0-9 a-f, in lower case"
        )


instance = Id("i", "an instance")
eni = Id("eni", "a network interface")
table = Id("rtb", "a route table")


def region(text: str) -> str:
    """Take a region such as ap-northeast-1; a zone gets a mend of its own."""
    shape = _REGION.fullmatch(text)
    if shape is None:
        raise WrongError(f"{quote(text)} is not a region; write one such as ap-northeast-1")
    name, zone = shape.groups()
    if zone:
        raise WrongError(f"{quote(text)} is an Availability Zone; write its region, {name}")
    return name


def node_name(text: str) -> str:
    """Take a node's name: up to 63 of a-z, 0-9, dot and dash."""
    if _NODE_NAME.fullmatch(text):
        return text
    raise WrongError(
        f"{quote(text)} cannot name a node; write a letter or digit, then up to 62 of a-z 0-9 . -"
    )


def group_name(text: str) -> str:
    """Take a group's name, which systemd, the journal and the file system all have to carry."""
    if _GROUP_NAME.fullmatch(text):
        return text
    raise WrongError(
        f"{quote(text)} cannot name a group; rename the file to letters, digits and . _ -, "
        "as in tokyo.yaml"
    )


def tag_key(text: str) -> str:
    """Take the name of a tag filter, as DescribeInstances takes it: `tag:Key`."""
    if _TAG_KEY.fullmatch(text):
        return text
    raise WrongError(f"{quote(text)} is not a tag filter; write 'tag:' and the tag's key")


def tag_value(text: str) -> str:
    """Take the value that a tag must have: 1 to 256 characters."""
    if 0 < len(text) <= _LONGEST_TAG_VALUE:
        return text
    raise WrongError(f"a tag's value has 1 to {_LONGEST_TAG_VALUE} characters, not {len(text)}")


def preempt(text: str) -> Preempt:
    """Take `auto` or `manual`."""
    if text in {"auto", "manual"}:
        return Preempt(text)
    raise WrongError(
        f"{quote(text)} is neither auto (routes go home by themselves) nor manual; write one"
    )


# --- who is told ------------------------------------------------------------------------------

_TOPIC = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z]{2,}(?:-[a-z]+)+-[0-9]{1,2}:[0-9]{12}:(.+)")
_TOPIC_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


def topic(text: str) -> str:
    """Take the ARN of an SNS topic that can send email, which FIFO topics cannot."""
    shape = _TOPIC.fullmatch(text)
    name = shape.group(1) if shape else ""
    if _TOPIC_NAME.fullmatch(name):
        return text
    if name.endswith(".fifo"):
        raise WrongError(f"{quote(text)} is a FIFO topic, which sends no email; use a standard one")
    raise WrongError(
        f"{quote(text)} is not the ARN of a topic; write arn:aws:sns:REGION:ACCOUNT:NAME, with "
        "the twelve digits of the account"
    )


def textfile(text: str) -> str:
    """Take the path of a file that node_exporter reads: absolute, and ending in .prom."""
    if text.startswith("/") and text.endswith(".prom") and not text.endswith("/.prom"):
        return text
    raise WrongError(
        f"{quote(text)} is not the full path of a file that node_exporter reads; "
        "write one such as /run/nathb/NAME/metrics.prom"
    )


# --- durations and counts ---------------------------------------------------------------------

_PART = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"
_DURATION = re.compile(
    f"{_PART}|(?:{_PART}d)?(?:{_PART}h)?(?:{_PART}m)?(?:{_PART}s)?(?:{_PART}ms)?"
)
_PARTS = re.compile(f"({_PART})(d|h|ms|m|s|$)")
_NEGATIVE = re.compile(r"-[0-9.]")
_UNITS = {
    "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
    "d": Decimal(86400),
}  # fmt: skip
_COUNT = re.compile(r"[0-9]{1,9}")


class Duration(Struct, frozen=True):
    """A time between two bounds, in seconds, with the reason for each."""

    least: float
    why_no_less: str
    most: float
    why_no_more: str
    can_be_off: bool = False
    needs_unit: bool = False
    """Where people do not expect a bare number to be seconds."""

    def __call__(self, text: str) -> float:
        """Return the seconds in `250ms`, `30s`, `2h30m`, or a bare number; 0 for `off`."""
        if self.can_be_off and text == "off":
            return 0.0
        if _NEGATIVE.match(text):
            raise WrongError(f"{quote(text)} is negative; write a duration such as {self._forms}")
        if not text or not _DURATION.fullmatch(text):
            raise WrongError(f"{quote(text)} is not a duration; write one such as {self._forms}")
        parts = _PARTS.findall(text)
        seconds = float(sum(Decimal(number) * _UNITS[unit or "s"] for number, unit in parts))
        if self.needs_unit and seconds and not parts[-1][1]:
            raise WrongError(
                f"{quote(text)} has no unit; write {text}s, {text}m, {text}h or {text}d"
            )
        if self.can_be_off and seconds == 0:
            return 0.0
        if seconds < self.least:
            raise WrongError(
                f"{text} is under the limit of {spell(self.least)}: {self.why_no_less}"
            )
        if seconds > self.most:
            raise WrongError(f"{text} is over the limit of {spell(self.most)}: {self.why_no_more}")
        return seconds

    @property
    def _forms(self) -> str:
        return "250ms, 30s, 5m or 2h" + (", or off" if self.can_be_off else "")


class Count(Struct, frozen=True):
    """A whole number from 1 to a bound, with the reason for the bound."""

    most: int
    why_no_more: str

    def __call__(self, text: str) -> int:
        """Return the number."""
        if not _COUNT.fullmatch(text) or int(text) < 1:
            raise WrongError(f"{quote(text)} is not a count; write a whole number from 1")
        if int(text) > self.most:
            raise WrongError(f"{text} is over the limit of {self.most}: {self.why_no_more}")
        return int(text)


def spell(seconds: float) -> str:
    """Write a duration the way the file does, in the largest unit that leaves it whole."""
    exact = Decimal(repr(seconds))
    whole = (
        unit for unit in ("d", "h", "m", "s") if exact >= _UNITS[unit] and not exact % _UNITS[unit]
    )
    unit = next(whole, "ms" if 0 < exact < 1 else "s")
    return f"{(exact / _UNITS[unit]).normalize():f}{unit}"
