"""A remote repository and its adapter, for the tests of this folder."""

from pathlib import Path

import pytest

from controller.adapters.repository import GitRepository
from tests.servers.git import GitRemote


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    return GitRemote(tmp_path / "served" / "remote.git")


@pytest.fixture
def repository(remote: GitRemote, tmp_path: Path) -> GitRepository:
    return GitRepository(remote.url, mirror_root=tmp_path / "mirrors")
