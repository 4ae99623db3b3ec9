"""Every way in which a call fails, over real HTTP: which failure, what words, sent how often."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore import exceptions as boto
from botocore.credentials import CredentialProvider, RefreshableCredentials

from nathb.aws.api_errors import cloud_error
from nathb.aws.client import make_client
from nathb.aws.ec2 import Cloud
from nathb.core.ec2_state import Roster
from nathb.core.errors import CloudError
from nathb.core.model import Cause, Done, Failure, Group, Move, Node, Route, Rule
from tests.aws.conftest import session_at
from tests.aws.scripted import (
    Server,
    answer,
    error,
    hang,
    hang_up,
    replaced,
    reset,
    tables,
    text_reply,
    then_hang_up,
    torn,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.aws.conftest import Time
    from tests.aws.scripted import Reply

    Maker = Callable[[Group], Cloud]

ROUTE = Route("rtb-1", "0.0.0.0/0")
GROUP = Group(
    name="tokyo",
    nodes=(
        Node("nat-a", ("8.8.8.8",), (ROUTE,), instance="i-a"),
        Node("nat-c", ("8.8.4.4",), instance="i-c"),
    ),
    uplink=("1.1.1.1",),
)
ROSTER = Roster(0.0, "nat-c", ())
MOVE = Move(ROUTE, "nat-a", "nat-c", Rule.R3, Cause("nat-a", "down", 0.0), "heartbeat lost")
LATER = 1e9

SIGN_IN_PAGE = "<html><body>please sign in</body></html>"

ANSWERS = {
    "throttled": (error(503, "RequestLimitExceeded"), Failure.THROTTLED),
    "throttled by another name": (error(400, "Throttling"), Failure.THROTTLED),
    "too many requests": (error(429, "WhoKnows"), Failure.THROTTLED),
    "unavailable": (error(503, "Unavailable"), Failure.UNAVAILABLE),
    "internal error": (error(500, "InternalError"), Failure.UNAVAILABLE),
    "a gateway's page": (text_reply(502, SIGN_IN_PAGE), Failure.UNAVAILABLE),
    "a gateway's silence": (text_reply(504, ""), Failure.UNAVAILABLE),
    "denied": (error(403, "UnauthorizedOperation"), Failure.DENIED),
    "request expired": (error(400, "RequestExpired"), Failure.CREDENTIALS),
    "token expired": (error(400, "ExpiredToken"), Failure.CREDENTIALS),
    "clock off": (error(403, "RequestTimeTooSkewed"), Failure.CREDENTIALS),
    "key unknown": (error(401, "AuthFailure"), Failure.CREDENTIALS),
    "no table": (error(400, "InvalidRouteTableID.NotFound"), Failure.MISSING),
    "no route": (error(400, "InvalidRoute.NotFound"), Failure.MISSING),
    "no interface": (error(400, "InvalidNetworkInterfaceID.NotFound"), Failure.REFUSED),
    "another parameter": (error(400, "InvalidParameterValue", "bad"), Failure.REFUSED),
    "an error without a name": (text_reply(400, "<Response/>"), Failure.REFUSED),
    "hang": (hang, Failure.NO_REPLY),
    "reset": (reset, Failure.NO_REPLY),
    "hung up": (hang_up, Failure.NO_REPLY),
    "torn": (torn, Failure.NO_REPLY),
    "garbage": (text_reply(200, "%PDF-1.4"), Failure.NO_REPLY),
    "garbage in an error": (text_reply(400, "{}"), Failure.NO_REPLY),
    "an error that is no error": (
        text_reply(400, "<Response><Error>x</Error></Response>"),
        Failure.NO_REPLY,
    ),
    "a sign-in page": (text_reply(200, SIGN_IN_PAGE), Failure.NO_REPLY),
}


def failing(call: Callable[[], object]) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("name", ANSWERS)
def test_a_write_fails_as_the_table_says_and_is_sent_exactly_once(
    name: str, script: Server, scripted_cloud: Maker, time: Time
):
    reply, failure = ANSWERS[name]
    script.will(reply, replaced())
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "eni-c", LATER))
    assert caught.failure is failure, str(caught)
    assert str(caught).startswith("ReplaceRoute of rtb-1 0.0.0.0/0 to nat-c: ")
    assert "; " in str(caught)
    assert script.actions == ["ReplaceRoute"]
    assert time.slept == []


PASSING = {
    "throttled": (error(503, "RequestLimitExceeded"), 0.5),
    "unavailable": (error(503, "Unavailable"), 0.1),
    "reset": (reset, 0.025),
    "hang": (hang, 0.025),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_read_that_failed_in_passing_is_made_once_more_after_a_random_pause(
    name: str, script: Server, scripted_cloud: Maker, time: Time
):
    reply, pause = PASSING[name]
    script.will(reply, tables())
    assert scripted_cloud(GROUP).view(ROSTER).holdings == ()
    assert script.actions == ["DescribeRouteTables"] * 2
    assert time.slept == [pause]


def test_a_read_that_fails_twice_has_failed(script: Server, scripted_cloud: Maker):
    script.will(error(503, "Unavailable"), error(503, "RequestLimitExceeded"), tables())
    caught = failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert caught.failure is Failure.THROTTLED
    assert len(script.asked) == 2


@pytest.mark.parametrize("name", PASSING)
def test_a_read_that_fails_speaks_of_no_write(name: str, script: Server, scripted_cloud: Maker):
    reply, _ = PASSING[name]
    script.will(reply, reply)
    said = str(failing(lambda: scripted_cloud(GROUP).view(ROSTER)))
    assert said.startswith("DescribeRouteTables of the tables of tokyo: ")
    assert "applied" not in said
    assert "write" not in said


@pytest.mark.parametrize(
    "reply",
    [error(403, "UnauthorizedOperation"), error(400, "ExpiredToken"), answer("X", "<a/>")],
    ids=["denied", "credentials", "not understood"],
)
def test_a_read_that_would_fail_again_is_not_repeated(
    reply: Reply, script: Server, scripted_cloud: Maker
):
    script.will(reply, tables())
    failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert len(script.asked) == 1


def test_a_move_names_table_family_and_interface(script: Server, scripted_cloud: Maker, time: Time):
    script.will(replaced())
    assert scripted_cloud(GROUP).move(MOVE, "eni-c", time.now + 2.0) == Done(0.0, "req-yes")
    sent = script.asked[0].form
    assert sent["RouteTableId"] == "rtb-1"
    assert sent["DestinationCidrBlock"] == "0.0.0.0/0"
    assert sent["NetworkInterfaceId"] == "eni-c"
    assert "DryRun" not in sent


def test_an_ipv6_route_is_moved_as_one(script: Server, scripted_cloud: Maker):
    script.will(replaced())
    move = Move(Route("rtb-1", "::/0"), "nat-a", "nat-c", Rule.R3, MOVE.cause, "")
    scripted_cloud(GROUP).move(move, "eni-c", LATER)
    assert script.asked[0].form["DestinationIpv6CidrBlock"] == "::/0"
    assert "DestinationCidrBlock" not in script.asked[0].form


def test_a_route_to_a_prefix_list_is_moved_as_one(script: Server, scripted_cloud: Maker):
    script.will(replaced())
    move = Move(Route("rtb-1", "pl-0a1b2c3d"), "nat-a", "nat-c", Rule.R3, MOVE.cause, "")
    scripted_cloud(GROUP).move(move, "eni-c", LATER)
    assert script.asked[0].form["DestinationPrefixListId"] == "pl-0a1b2c3d"
    assert "DestinationCidrBlock" not in script.asked[0].form


def test_a_move_that_comes_too_late_is_not_sent(script: Server, scripted_cloud: Maker, time: Time):
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "eni-c", time.now - 2.5))
    assert caught.failure is Failure.EXPIRED
    assert "not sent: 2.5 s too late" in str(caught)
    assert script.asked == []


def test_a_move_to_a_node_without_an_interface_is_not_sent(script: Server, scripted_cloud: Maker):
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "", LATER))
    assert caught.failure is Failure.REFUSED
    assert "no interface of nat-c" in str(caught)
    assert script.asked == []


def test_a_missing_route_is_missing_in_the_words_that_ec2_uses(
    script: Server, scripted_cloud: Maker
):
    words = "There is no route defined for '0.0.0.0/0' in the route table. Use CreateRoute instead."
    script.will(error(400, "InvalidParameterValue", words))
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "eni-c", LATER))
    assert caught.failure is Failure.MISSING


def test_a_denial_names_the_action_and_the_table_to_allow_and_the_request(
    script: Server, scripted_cloud: Maker
):
    words = "You are not authorized. Encoded authorization failure message: " + "x" * 900
    script.will(error(403, "UnauthorizedOperation", words))
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "eni-c", LATER))
    assert str(caught) == (
        "ReplaceRoute of rtb-1 0.0.0.0/0 to nat-c: EC2 says UnauthorizedOperation: You are not"
        " authorized.; allow ec2:ReplaceRoute on rtb-1 in this node's role"
    )
    assert caught.request_id == "req-no"


def test_a_denied_read_says_that_it_must_be_allowed_on_everything(
    script: Server, scripted_cloud: Maker
):
    script.will(error(403, "UnauthorizedOperation"))
    caught = failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert "allow ec2:DescribeRouteTables on * in" in str(caught)


def test_a_long_answer_is_quoted_in_part_and_on_one_line(script: Server, scripted_cloud: Maker):
    script.will(error(400, "InvalidThing", "a\nb " * 400))
    caught = failing(lambda: scripted_cloud(GROUP).move(MOVE, "eni-c", LATER))
    assert "\n" not in str(caught)
    assert len(str(caught)) < 500


def test_an_answer_of_another_shape_is_refused_and_says_where_it_is_wrong(
    script: Server, scripted_cloud: Maker
):
    script.will(tables("<vpcId>vpc-1</vpcId>"))
    caught = failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert caught.failure is Failure.REFUSED
    assert "EC2's answer cannot be understood" in str(caught)
    assert "RouteTableId" in str(caught)
    assert caught.request_id == "req-yes"


def test_a_sign_in_page_is_not_taken_for_an_empty_list(script: Server, scripted_cloud: Maker):
    script.will(text_reply(200, SIGN_IN_PAGE))
    caught = failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert caught.failure is Failure.REFUSED


def test_an_answer_without_end_is_refused(script: Server, scripted_cloud: Maker):
    script.will(*[tables(token="again")] * 200)
    caught = failing(lambda: scripted_cloud(GROUP).view(ROSTER))
    assert caught.failure is Failure.REFUSED
    assert len(script.asked) == 100


def test_a_connection_that_went_stale_in_the_pool_does_not_fail_a_write(
    script: Server, scripted_cloud: Maker
):
    cloud = scripted_cloud(GROUP)
    script.will(then_hang_up(tables()), replaced())
    cloud.view(ROSTER)
    assert script.hung_up.wait(10)
    assert cloud.move(MOVE, "eni-c", LATER).request_id == "req-yes"
    read, write = script.asked
    assert read.peer != write.peer


def test_a_write_goes_out_on_the_connection_that_a_read_has_warmed(
    script: Server, scripted_cloud: Maker
):
    cloud = scripted_cloud(GROUP)
    script.will(tables(), replaced())
    cloud.view(ROSTER)
    cloud.move(MOVE, "eni-c", LATER)
    read, write = script.asked
    assert read.peer == write.peer


def client_for(endpoint: str, folder: Path) -> Any:
    return make_client(session=session_at(endpoint, folder), connect_timeout=0.3, read_timeout=0.3)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_where_nothing_listens_nothing_was_sent(host: str, tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connecting is refused
        client = client_for(f"http://{host}:{taken.getsockname()[1]}", tmp_path)
        caught = failing(lambda: Cloud(client, GROUP).move(MOVE, "eni-c", LATER))
    assert caught.failure is Failure.UNAVAILABLE
    assert "Could not connect" in str(caught)


def test_a_connect_that_hangs_sends_nothing(tmp_path: Path):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        crowd = [socket.socket() for _ in range(4)]  # a backlog that is full swallows every SYN
        try:
            for one in crowd:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            client = client_for(f"http://127.0.0.1:{full.getsockname()[1]}", tmp_path)
            caught = failing(lambda: Cloud(client, GROUP).move(MOVE, "eni-c", LATER))
        finally:
            for one in crowd:
                one.close()
    assert caught.failure is Failure.UNAVAILABLE
    assert "Connect timeout" in str(caught)


def test_a_peer_that_speaks_no_tls_leaves_it_open_whether_anything_was_sent(
    script: Server, tmp_path: Path
):
    client = client_for(script.url.replace("http:", "https:"), tmp_path)
    caught = failing(lambda: Cloud(client, GROUP).move(MOVE, "eni-c", LATER))
    assert caught.failure is Failure.NO_REPLY


EXCEPTIONS = [
    (boto.NoCredentialsError(), Failure.CREDENTIALS),
    (boto.CredentialRetrievalError(provider="role", error_msg="gone"), Failure.CREDENTIALS),
    (boto.ProfileNotFound(profile="x"), Failure.CREDENTIALS),
    (
        boto.SSLError(endpoint_url="u", error="[SSL: CERTIFICATE_VERIFY_FAILED]"),
        Failure.UNAVAILABLE,
    ),
    (boto.SSLError(endpoint_url="u", error="[SSL: UNEXPECTED_EOF]"), Failure.NO_REPLY),
    (boto.ProxyConnectionError(proxy_url="u", error="e"), Failure.UNAVAILABLE),
    (boto.ParamValidationError(report="bad"), Failure.REFUSED),
    (KeyError("Error"), Failure.NO_REPLY),
]


@pytest.mark.parametrize(("raised", "failure"), EXCEPTIONS, ids=lambda one: repr(one)[:40])
def test_what_cannot_have_been_sent_is_told_from_what_may_have_been(
    raised: Exception, failure: Failure
):
    assert cloud_error(raised, "ReplaceRoute", "it").failure is failure


def test_a_refusal_of_the_role_itself_is_a_matter_of_credentials():
    refused = boto.ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole")
    caught = cloud_error(refused, "ReplaceRoute", "it")
    assert caught.failure is Failure.CREDENTIALS
    assert "AssumeRole says AccessDenied: no" in str(caught)


def test_without_credentials_nothing_is_sent_and_the_fix_is_named(script: Server, tmp_path: Path):
    session = session_at(script.url, tmp_path)
    core = session._session
    core._credentials = None
    core.get_component("credential_provider").providers = []
    cloud = Cloud(make_client(session=session), GROUP)
    caught = failing(lambda: cloud.move(MOVE, "eni-c", LATER))
    assert caught.failure is Failure.CREDENTIALS
    assert "instance profile" in str(caught)
    assert "metadata service answers, and its clock" in str(caught)
    assert script.asked == []


class SlowRole(CredentialProvider):
    """Keys that are about to expire, and take 5 s to fetch, each time that they are needed."""

    METHOD = CANONICAL_NAME = "slow-role"

    def __init__(self, time: Time) -> None:
        super().__init__()
        self._time = time

    def load(self) -> RefreshableCredentials:
        """Return them as botocore wants them."""
        return RefreshableCredentials.create_from_metadata(self._keys(), self._fetch, self.METHOD)

    def _fetch(self) -> dict[str, str]:
        self._time.now += 5.0
        return self._keys()

    def _keys(self) -> dict[str, str]:
        soon = datetime.now(UTC) + timedelta(minutes=5)
        keys = dict.fromkeys(("access_key", "secret_key", "token"), "x")
        return keys | {"expiry_time": soon.isoformat()}


def test_a_write_whose_credentials_come_too_late_is_not_sent(
    script: Server, time: Time, tmp_path: Path
):
    session = session_at(script.url, tmp_path)
    core = session._session
    core._credentials = None
    core.get_component("credential_provider").providers = [SlowRole(time)]
    cloud = Cloud(make_client(session=session), GROUP, time.clock)
    script.will(replaced())
    caught = failing(lambda: cloud.move(MOVE, "eni-c", time.now + 2.0))
    assert caught.failure is Failure.EXPIRED
    assert script.asked == []
