"""The instance metadata service never goes through a proxy.

botocore fetches the role's credentials by HTTP, and by HTTP_PROXY where that is set. Whoever runs
the proxy could then read these credentials, or answer with others. This module imports next to
nothing: it is called before anything that may make a client.
https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-proxy.html
"""

from __future__ import annotations

from collections.abc import MutableMapping

HOSTS = ("169.254.169.254", "fd00:ec2::254")
ENDPOINT = "AWS_EC2_METADATA_SERVICE_ENDPOINT"


def bypass_proxies(environ: MutableMapping[str, str]) -> None:
    """Add the metadata service to NO_PROXY and no_proxy; what they name already is kept.

    Python reads the name in small letters first, some other programs only the other one; one that
    is not set gets the value of the other. `*` alone means every host, and means nothing in a
    list: it is left as it is.
    """
    small, large = environ.get("no_proxy"), environ.get("NO_PROXY")
    environ["no_proxy"] = _extended(large if small is None else small, environ)
    environ["NO_PROXY"] = _extended(small if large is None else large, environ)


def _extended(named: str | None, environ: MutableMapping[str, str]) -> str:
    listed = [host for host in map(str.strip, (named or "").split(",")) if host]
    if listed != ["*"]:
        listed += [host for host in _hosts(environ) if host not in listed]
    return ",".join(listed)


def _hosts(environ: MutableMapping[str, str]) -> list[str]:
    """Return each address as programs write it; Python compares an IPv6 one with its brackets."""
    hosts = [*HOSTS, *filter(None, [_host(environ.get(ENDPOINT, ""))])]
    return [form for host in hosts for form in ([host, f"[{host}]"] if ":" in host else [host])]


def _host(url: str) -> str:
    """Return the host of a URL without brackets and port; empty where it has none."""
    _, _, rest = url.rpartition("://")
    authority = rest.partition("/")[0].rpartition("@")[2]
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]
