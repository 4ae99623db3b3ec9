"""What went wrong, as one of core's eight failures, with the cause and the fix in the message.

The question behind every row is the one that decides what to do next: was it applied? Not sent
or refused is certain; sent and unanswered is not, and only the next read of the tables shows it.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

import re
from typing import Any

from botocore import exceptions as boto

from nathb.aws.deadline import TooLate
from nathb.core.errors import CloudError
from nathb.core.model import Failure
from nathb.core.text import visible

CODES = {
    Failure.THROTTLED: """
        RequestLimitExceeded Throttling ThrottlingException ThrottledException
        RequestThrottled RequestThrottledException EC2ThrottledException TooManyRequestsException
        SlowDown BandwidthLimitExceeded PriorRequestNotComplete Throttled
    """,
    Failure.UNAVAILABLE: "Unavailable ServiceUnavailable InternalError InternalFailure",
    Failure.DENIED: "UnauthorizedOperation AccessDenied AccessDeniedException AuthorizationError",
    Failure.CREDENTIALS: """
        AuthFailure ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId
        UnrecognizedClientException MissingAuthenticationToken SignatureDoesNotMatch
        IncompleteSignature InvalidSignatureException RequestTimeTooSkewed RequestInTheFuture
    """,
    Failure.MISSING: "InvalidRouteTableID.NotFound InvalidRouteTableId.NotFound "
    "InvalidRoute.NotFound InvalidInstanceID.NotFound NotFound",
}
FAILURE_OF_CODE = {code: failure for failure, codes in CODES.items() for code in codes.split()}

NO_SUCH_ROUTE = re.compile("no route defined for", re.IGNORECASE)
"""ReplaceRoute says InvalidParameterValue and these words, not InvalidRoute.NotFound."""

EXCEPTIONS: tuple[tuple[type[Exception], Failure], ...] = (
    (TooLate, Failure.EXPIRED),
    # No credentials: nothing could be signed, so nothing was sent.
    (boto.NoCredentialsError, Failure.CREDENTIALS),
    (boto.PartialCredentialsError, Failure.CREDENTIALS),
    (boto.CredentialRetrievalError, Failure.CREDENTIALS),
    (boto.TokenRetrievalError, Failure.CREDENTIALS),
    (boto.MetadataRetrievalError, Failure.CREDENTIALS),
    (boto.SSOError, Failure.CREDENTIALS),
    (boto.ProfileNotFound, Failure.CREDENTIALS),
    (boto.InvalidConfigError, Failure.CREDENTIALS),
    (boto.ConfigParseError, Failure.CREDENTIALS),
    (boto.ConfigNotFound, Failure.CREDENTIALS),
    # No connection: refused, no route, no such name.
    (boto.EndpointConnectionError, Failure.UNAVAILABLE),
    (boto.ConnectTimeoutError, Failure.UNAVAILABLE),
    (boto.ProxyConnectionError, Failure.UNAVAILABLE),
    # A connection that broke or fell silent.
    (boto.ConnectionError, Failure.NO_REPLY),
    (boto.HTTPClientError, Failure.NO_REPLY),
    (boto.IncompleteReadError, Failure.NO_REPLY),
    # Whatever else botocore complains of, it complains of instead of sending.
    (boto.BotoCoreError, Failure.REFUSED),
    # What nobody foresaw: a parser's surprise at an answer, so something was sent.
    (Exception, Failure.NO_REPLY),
)
"""The first row that fits is what happened.

A pooled connection that the server has meanwhile closed is seen before sending, for urllib3
looks for a FIN, and opens another. What slips through is a reset or a silence *after* sending.
ReplaceRoute to the same target can be repeated, so NO_REPLY, a fresh look, and then perhaps the
same again, is never wrong.
"""

BAD_CERTIFICATE = "CERTIFICATE_VERIFY_FAILED"
"""In the words of an SSLError that came before the request; others may come after it."""

FIXES = {
    Failure.THROTTLED: "all of the account's callers in this region share one request limit:"
    " find who spends it, or have it raised",
    Failure.UNAVAILABLE: "probably not applied; if it lasts, check this node's DNS,"
    " clock and route to the endpoint, and AWS's health page",
    Failure.NO_REPLY: "a write may have been applied; the next read of the tables shows it;"
    " if it lasts, check this node's path to the endpoint",
    Failure.DENIED: "allow {prefix}:{action} on {resource} in this node's role",
    Failure.CREDENTIALS: "check this node's instance profile (or AWS_PROFILE and its keys), that"
    " its metadata service answers, and its clock (`timedatectl`)",
    Failure.MISSING: "correct it in the file, or create it",
    Failure.EXPIRED: "the next round decides again",
    Failure.REFUSED: "correct what {service} names",
}

READ = re.compile("Describe|Get|List|Simulate")
"""How the calls that change nothing begin."""
FIXES_OF_READS = FIXES | {
    Failure.UNAVAILABLE: "if it lasts, check this node's DNS, clock and route to the endpoint, and"
    " AWS's health page",
    Failure.NO_REPLY: "if it lasts, check this node's path to the endpoint",
}

QUOTED = 300
"""Characters of another's message that we repeat; a journal line is for people."""
BLOB = re.compile(r"\s*Encoded authorization failure message:.*", re.DOTALL)
"""A thousand characters that only sts:DecodeAuthorizationMessage can read."""


def cloud_error(
    error: Exception, action: str, thing: str, resource: str = "*", *, service: str = "EC2"
) -> CloudError:
    """Turn what a boto3 call raised into a CloudError that says what to do.

    `action` is the service's name of the call (ReplaceRoute), `thing` what it was about, in
    words, and `resource` what an IAM policy would have to allow it on.
    """
    if isinstance(error, boto.HTTPClientError):
        # What botocore does not know, it wraps.
        inner = error.kwargs.get("error")
        error = inner if isinstance(inner, TooLate) else error
    if isinstance(error, boto.ClientError):
        failure, cause, request_id = _read_refusal(error, action, service)
    else:
        failure, request_id = _failure_of_exception(error), ""
        cause = str(error) if isinstance(error, boto.BotoCoreError | TooLate) else repr(error)
    fixes = FIXES_OF_READS if READ.match(action) else FIXES
    fix = fixes[failure].format(
        prefix=service.lower(), action=action, resource=resource, service=service
    )
    return CloudError(failure, f"{action} of {thing}: {_plain(cause)}; {fix}", request_id)


def request_id_of(answer: object) -> str:
    """Return the request id in what boto3 returned; empty when there is none to be found."""
    metadata = answer.get("ResponseMetadata") if isinstance(answer, dict) else None
    request_id = metadata.get("RequestId") if isinstance(metadata, dict) else None
    return request_id if isinstance(request_id, str) else ""


def _read_refusal(error: Any, action: str, service: str) -> tuple[Failure, str, str]:
    """Read failure, cause and request id from an error answer, none of whose parts is certain."""
    answer = error.response if isinstance(error.response, dict) else {}
    body = answer.get("Error")
    body = body if isinstance(body, dict) else {}
    code, text = str(body.get("Code", "")), str(body.get("Message", ""))
    cause = f"{code}: {text}" if code and text else code or text or "an error without a name"
    request_id = request_id_of(answer)
    if error.operation_name != action:
        # The chain of credentials makes calls of its own (AssumeRole): the service was never asked.
        return Failure.CREDENTIALS, f"{error.operation_name} says {cause}", request_id
    status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode", 400)
    return _failure_of_code(code, text, status), f"{service} says {cause}", request_id


def _failure_of_code(code: str, text: str, status: int) -> Failure:
    if code in FAILURE_OF_CODE:
        return FAILURE_OF_CODE[code]
    if code == "InvalidParameterValue" and NO_SUCH_ROUTE.search(text):
        return Failure.MISSING
    if status == 429:
        return Failure.THROTTLED
    return Failure.UNAVAILABLE if status >= 500 else Failure.REFUSED


def _failure_of_exception(error: Exception) -> Failure:
    if isinstance(error, boto.SSLError) and BAD_CERTIFICATE in str(error):
        return Failure.UNAVAILABLE
    return next(failure for kind, failure in EXCEPTIONS if isinstance(error, kind))


def _plain(text: str) -> str:
    """One line, of bearable length, without what only a machine can read."""
    line = visible(" ".join(BLOB.sub("", text).split()))
    return line if len(line) <= QUOTED else line[:QUOTED] + "…"
