"""Fixtures of the commands: journals to read, and a place on the earth."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.aws.conftest import calls, moto_client, world  # noqa: F401  fixtures
from tests.host.conftest import journald, sandbox  # noqa: F401  fixtures


@pytest.fixture
def tokyo_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()
