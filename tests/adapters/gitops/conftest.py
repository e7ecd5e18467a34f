"""A shop to deploy from, on the real Git adapter."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.gitops.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A repository with one application; what was started ends with the test."""
    shop = Shop(tmp_path)
    yield shop
    shop.stop()
