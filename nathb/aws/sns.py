"""Notifications: one SNS topic, from which people get email.

A router may be cut off at the very moment that is worth telling, so what fails in passing is
tried again for five minutes. The client costs 11 MB, so it is made at the first notice, in the
thread that sends it: whoever has no topic does not pay for one.
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from nathb import __version__
from nathb.aws.api_errors import cloud_error, request_id_of
from nathb.core.errors import CloudError
from nathb.core.events import Event, EventKind
from nathb.core.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0
PASSING = {Failure.THROTTLED, Failure.UNAVAILABLE, Failure.NO_REPLY, Failure.CREDENTIALS}
"""Failures after which a notice is sent again; after NO_REPLY, it may then arrive twice."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Seconds before each further try: five minutes in all, and the calls' own time."""

KEY_DENIED = "KMSAccessDenied"
"""SNS's word for a topic whose key whoever publishes may not use."""

LONGEST_SUBJECT = 100
FILTERED = ("NATHB_EVENT", "NATHB_GROUP", "NATHB_NODE", "PRIORITY")
"""Fields that go along as attributes, so that a subscription can filter by them."""


class Topic:
    """A topic by its ARN. For one thread at a time."""

    def __init__(
        self,
        arn: str,
        *,
        make_session: Callable[[], Any] = boto3.Session,
        sleep: Callable[[float], None] = time.sleep,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._arn = arn
        self._make_session = make_session
        self._sleep = sleep
        self._read_timeout = read_timeout
        self._client: Any = None

    def carry(self, notice: Mapping[str, str]) -> Iterator[Event]:
        """Publish a notice, however often that takes; yield the first failure, and the last."""
        for pause in PAUSES:
            try:
                self._publish(notice)
            except CloudError as error:
                if error.failure not in PASSING:
                    yield _failed(notice, f"{error}")
                    return
                if pause == PAUSES[0]:
                    yield _failed(notice, f"it is tried again for five minutes: {error}")
                self._sleep(pause)
            else:
                return
        try:
            self._publish(notice)
        except CloudError as error:
            yield _failed(notice, f"given up: {error}")

    def _publish(self, notice: Mapping[str, str]) -> None:
        try:
            if self._client is None:
                self._client = self._make_client()
            self._client.publish(
                TopicArn=self._arn,
                Subject=subject(notice),
                Message=message(notice),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": notice[name]} for name in FILTERED
                },
            )
        except Exception as error:
            raise _cloud_error(error, self._arn) from error

    def _make_client(self) -> Any:
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=self._read_timeout,
            max_pool_connections=1,
            retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra=f"nathb/{__version__}",
        )
        region = self._arn.split(":")[3]
        return self._make_session().client("sns", region_name=region, config=config)


def _cloud_error(error: Exception, arn: str) -> CloudError:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict) and answer.get("Error", {}).get("Code") == KEY_DENIED:
        return CloudError(
            Failure.DENIED,
            f"Publish of {arn}: SNS says {KEY_DENIED}: this node's role may not use the key of the"
            " topic; name the key in the file (`notify: {sns: …, kms: …}`), and give the role what"
            " `nathb iam-policy` then prints",
            request_id_of(answer),
        )
    return cloud_error(error, "Publish", arn, arn, service="SNS")


def subject(notice: Mapping[str, str]) -> str:
    """Return the line that an email shows: SNS takes 100 characters of printable ASCII."""
    line = f"[nathb {notice['NATHB_GROUP']}] {notice['NATHB_NODE']}: {notice['MESSAGE']}"
    ascii_line = line.encode("ascii", "replace").decode()
    if len(ascii_line) <= LONGEST_SUBJECT:
        return ascii_line
    return ascii_line[: LONGEST_SUBJECT - 3] + "..."


def message(notice: Mapping[str, str]) -> str:
    """Return the text of an email: the sentence, the fields, and where to read on."""
    fields = [f"{name}={value}" for name, value in notice.items() if name != "MESSAGE"]
    read_on = f"On {notice['NATHB_NODE']}: nathb status {notice['NATHB_GROUP']}; journalctl -x"
    return "\n".join([notice["MESSAGE"], "", *fields, "", read_on, ""])


def _failed(notice: Mapping[str, str], why: str) -> Event:
    what = f"cannot notify of {notice['NATHB_EVENT']}"
    return Event(kind=EventKind.NOTICE_FAILED, message=f"{what}: {why}")
