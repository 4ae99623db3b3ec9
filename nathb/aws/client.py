"""The warm EC2 client, made once, before the loop starts: making it costs 0.3 s and 20 MB.

Region, profile, credentials and endpoint come the standard way (AWS_REGION, AWS_PROFILE, the
instance's role, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_EC2, the shared config file).
https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from nathb import __version__
from nathb.aws.api_errors import cloud_error
from nathb.aws.connections import use_connections
from nathb.aws.deadline import Deadline
from nathb.aws.region import find_region
from nathb.aws.resolver import Resolver
from nathb.core.errors import CloudError
from nathb.core.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONNECT_TIMEOUT = 2.0
"""Seconds, per address. A first SYN that was lost is sent again after one second; this waits for
that and no longer. botocore's own is 60 s, in which a takeover would be late by a minute."""
READ_TIMEOUT = 3.0
"""Seconds of silence. ReplaceRoute answers in well under one; a caller that learns NO_REPLY after
three reads the tables again and repeats, which is better than waiting."""
CALL_TIMEOUT = 15.0
"""Seconds for a whole call: name lookup, each address, TLS, and an answer that comes in trickles.
Enough for a resolver that asks its second name server, and for three addresses."""
POOL = 16
"""Connections kept. Moves leave in parallel, and one that must first shake hands is late."""


def make_client(
    region: str = "",
    *,
    session: Any = None,
    environ: Mapping[str, str] = os.environ,
    connect_timeout: float = CONNECT_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    call_timeout: float = CALL_TIMEOUT,
    getaddrinfo: Callable[..., Any] = socket.getaddrinfo,
) -> Any:
    """Return a boto3 EC2 client that never repeats a call by itself. Timeouts in seconds.

    Its `deadline` bounds each of its calls, credentials aside, and is where a write says until
    when it may be sent.

    `region` comes from the file; without one it is what `find_region` finds. IdentityError when it
    finds none; CloudError when the profile, the region's name or the endpoint cannot be used.
    """
    config = Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=POOL,
        tcp_keepalive=True,
        # One attempt. A write that is late may have lost its reasons, so whether to repeat it is
        # decided above; reads are repeated in `ec2`. AWS_MAX_ATTEMPTS does not override this.
        retries={"mode": "standard", "total_max_attempts": 1},
        user_agent_extra=f"nathb/{__version__}",
    )
    try:
        session = session or boto3.Session()
        found = find_region(region, session, environ)
        client = session.client("ec2", region_name=found.name, config=config)
    except ValueError as error:  # botocore says it so, for an endpoint that is no URL
        raise CloudError(
            Failure.REFUSED,
            f"EC2 client: {error}; correct `region:` in the file, or AWS_ENDPOINT_URL",
        ) from error
    except BotoCoreError as error:
        raise cloud_error(error, "Setup", "the EC2 client") from error
    client.deadline = Deadline(call_timeout, read_timeout)
    use_connections(client, client.deadline, Resolver(getaddrinfo))
    return client
