"""A server that answers as it is told."""

from collections.abc import Iterator

import pytest

from tests.adapters.kubernetes.hostile import HostileServer, hostile_server


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with hostile_server() as made:
        yield made
