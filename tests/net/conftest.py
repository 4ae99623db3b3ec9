"""Where tests may meet the real kernel: in the sandbox only, in a network of their own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.net.loopback import fresh_network

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def sandbox() -> None:
    """Root in namespaces that may be changed at will; skips elsewhere, or fails if required."""
    if os.environ.get("NATHB_SANDBOX"):
        return
    reason = "needs the sandbox: run `make test`"
    if os.environ.get("NATHB_LAB") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def network(sandbox: None) -> Iterator[None]:  # noqa: ARG001
    """A network namespace with nothing in it but loopback, for this test alone."""
    with fresh_network():
        yield
