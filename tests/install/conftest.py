"""Fixtures for tests of the installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.install.built import Built, build
from tests.install.root import Root, obstacle


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The package, built by whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    return build((base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "built")


@pytest.fixture
def make_root() -> Iterator[Callable[[], Root]]:
    """As many clean roots as a test asks for."""
    if why := obstacle():
        if os.environ.get("NATHB_LAB") == "required":
            pytest.fail(f"NATHB_LAB=required, but {why}", pytrace=False)
        pytest.skip(why)
    with ExitStack() as roots:
        yield lambda: roots.enter_context(Root())


@pytest.fixture
def root(make_root: Callable[[], Root]) -> Root:
    """A clean root."""
    return make_root()
