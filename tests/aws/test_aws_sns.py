"""Notifications: to moto's SNS over HTTP, as its subscribers get them; and to one with faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nathb.aws.sns import PAUSES, Topic, message, subject
from nathb.host.journal_schema import notice
from tests.aws.conftest import READ_TIMEOUT, Time, session_at
from tests.aws.scripted import Server, hang, reset, text_reply
from tests.host.samples import TOOK

if TYPE_CHECKING:
    from tests.aws.scripted import Reply

NOTICE = notice(TOOK, "tokyo", "nat-a", datetime(2031, 2, 3, 12, 0, tzinfo=UTC))
ARN = "arn:aws:sns:eu-west-1:123456789012:nathb"
PUBLISHED = text_reply(
    200,
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    "<MessageId>94f20ce6-13c5-43a0-9a9e-ca52d816e90b</MessageId></PublishResult>"
    "<ResponseMetadata><RequestId>req-yes</RequestId></ResponseMetadata></PublishResponse>",
)


def error(status: int, code: str) -> Reply:
    """What SNS sends when it says no."""
    return text_reply(
        status,
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>as the script says</Message></Error>"
        "<RequestId>req-no</RequestId></ErrorResponse>",
    )


class Mailbox:
    """A topic with a queue that is subscribed to it."""

    def __init__(self, session: Any) -> None:
        sns, self._sqs = session.client("sns"), session.client("sqs")
        self.arn = sns.create_topic(Name="nathb")["TopicArn"]
        self._queue = self._sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._queue, AttributeNames=["QueueArn"]
        )
        sns.subscribe(
            TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"]
        )

    def mails(self) -> list[dict[str, Any]]:
        got = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)
        return [json.loads(one["Body"]) for one in got.get("Messages", [])]


@pytest.fixture
def session(moto_client: Any, tmp_path: Path) -> Any:
    return session_at(moto_client.meta.endpoint_url, tmp_path)


def test_a_notice_reaches_the_topics_subscribers_with_subject_text_and_attributes(
    session: Any,
) -> None:
    mailbox = Mailbox(session)
    assert (
        list(Topic(mailbox.arn, make_session=lambda: session, read_timeout=60).carry(NOTICE)) == []
    )
    [mail] = mailbox.mails()
    assert mail["TopicArn"] == mailbox.arn
    assert mail["Subject"] == (
        "[nathb tokyo] nat-a: took rtb-0bee8f2dc00000003 0.0.0.0/0 from nat-c: heartbeat 8.8.4.4 "
        "missed 3 ..."
    )
    assert mail["Message"] == message(NOTICE)
    assert {name: one["Value"] for name, one in mail["MessageAttributes"].items()} == {
        "NATHB_EVENT": "took",
        "NATHB_GROUP": "tokyo",
        "NATHB_NODE": "nat-a",
        "PRIORITY": "4",
    }


def test_a_mail_has_the_sentence_the_fields_and_where_to_read_on() -> None:
    lines = message(NOTICE).splitlines()
    assert lines[0] == TOOK.message
    assert "NATHB_REASON=heartbeat 8.8.4.4 missed 3 of 3" in lines
    assert "NATHB_TIME=2031-02-03T12:00:00.000+00:00" in lines
    assert lines[-1] == "On nat-a: nathb status tokyo; journalctl -x"


@pytest.mark.parametrize("words", ["took", "x" * 500, "«東京»\x7f", "ü" * 200])
def test_a_subject_is_at_most_100_characters_of_printable_ascii(words: str) -> None:
    line = subject(notice(replace(TOOK, message=words), "tokyo", "nat-a", datetime.now(UTC)))
    assert line.startswith("[nathb tokyo] nat-a: ")
    assert len(line) <= 100
    assert all(" " <= character <= "~" for character in line)


Publish = Callable[..., tuple[list[str], list[str]]]


@pytest.fixture
def publish(script: Server, time: Time, tmp_path: Path) -> Iterator[Publish]:
    """Publish one notice to a service that answers so; what was told, and what was asked."""

    def publish(*replies: Reply) -> tuple[list[str], list[str]]:
        script.will(*replies)
        session = session_at(script.url, tmp_path)
        topic = Topic(
            ARN, make_session=lambda: session, sleep=time.sleep, read_timeout=READ_TIMEOUT
        )
        told = [event.message for event in topic.carry(NOTICE)]
        return told, [asked.action for asked in script.asked]

    yield publish
    script.will()


@pytest.mark.parametrize(
    "reply",
    [error(503, "Unavailable"), error(400, "Throttled"), error(500, "InternalError"), reset, hang],
    ids=["unavailable", "throttled", "internal", "reset", "hang"],
)
def test_what_fails_in_passing_is_told_once_and_tried_again_until_it_is_sent(
    publish: Publish, time: Time, reply: Reply
) -> None:
    told, asked = publish(reply, reply, PUBLISHED)
    assert asked == ["Publish"] * 3
    assert time.slept == [1.0, 2.0]
    assert len(told) == 1
    assert told[0].startswith("cannot notify of took: it is tried again for five minutes: Publish")


def test_after_five_minutes_of_tries_a_notice_is_given_up(publish: Publish, time: Time) -> None:
    told, asked = publish(*[error(503, "Unavailable")] * 20)
    assert len(asked) == len(PAUSES) + 1
    assert sum(time.slept) == 300.0
    assert len(told) == 2
    assert told[1].startswith("cannot notify of took: given up: Publish of")


REFUSALS = {
    "AuthorizationError": f"allow sns:Publish on {ARN} in this node's role",
    "NotFound": "correct it in the file, or create it",
    "KMSAccessDenied": "name the key in the file (`notify: {sns: …, kms: …}`), and give the role"
    " what `nathb iam-policy` then prints",
    "InvalidParameter": "correct what SNS names",
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_told_with_its_fix_and_not_tried_again(publish: Publish, code: str) -> None:
    told, asked = publish(error(403 if code == "AuthorizationError" else 400, code))
    assert asked == ["Publish"]
    assert len(told) == 1
    assert f"SNS says {code}" in told[0]
    assert REFUSALS[code] in told[0]


def test_a_session_that_cannot_be_made_is_told_and_no_traceback(time: Time) -> None:
    def broken() -> Any:
        raise ValueError("Invalid endpoint: nowhere")

    told = [
        event.message for event in Topic(ARN, make_session=broken, sleep=time.sleep).carry(NOTICE)
    ]
    assert len(told) == 2
    assert "Invalid endpoint: nowhere" in told[0]
