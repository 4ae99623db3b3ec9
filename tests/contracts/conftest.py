"""Fixtures of the contracts: a place on the earth."""

from tests.commands.conftest import tokyo_time  # noqa: F401  a fixture
