"""How the composition root lets each repository log in: by the settings, by Argo CD's Secret, or not at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.repository.cluster_secrets import ClusterSecrets
from controller.app.repositories import Repositories
from controller.ports.repository import Repository, RepositoryDenied
from controller.settings import Settings
from tests.fakes.cluster_objects import ClusterObjects
from tests.fakes.manual_clock import ManualClock
from tests.servers.git import GitRemote, HttpGit, http_git
from tests.servers.github import APP, INSTALLATION, GithubApi, make_app_key
from tests.servers.receiver import Receiver


@pytest.fixture
def http(tmp_path: Path) -> Iterator[HttpGit]:
    with http_git(tmp_path / "served") as server:
        yield server


@pytest.fixture
def remote(tmp_path: Path) -> GitRemote:
    made = GitRemote(tmp_path / "served" / "shop" / "manifests.git")
    made.commit({"a": "1"})
    return made


@pytest.fixture
def objects() -> ClusterObjects:
    return ClusterObjects()


def repository(folder: Path, url: str, objects: ClusterObjects | None, **declared: Any) -> Repository:
    entries = [{"url": url} | declared] if declared else []
    clock = ManualClock()
    secrets = ClusterSecrets(objects, "argocd", ("one",), clock) if objects is not None else None  # type: ignore[arg-type]
    return Repositories(Settings.model_validate({"repositories": entries}), folder, clock, secrets)[url]


def test_the_settings_go_before_the_secret(
    tmp_path: Path, http: HttpGit, remote: GitRemote, objects: ClusterObjects
) -> None:
    """With credentials of the settings no Secret is even read."""
    url = http.url(remote)
    objects.secret("one", url=url, password="of the cluster")
    token = tmp_path / "token"
    token.write_text(http.token)
    assert repository(tmp_path, url, objects, credentials={"tokenFile": token}).fetch("main")
    assert objects.asked == []


@pytest.mark.parametrize("declared", [{}, {"signing": {"sshKeyFile": "/dev/null"}}])
def test_without_credentials_in_the_settings_the_secret_counts(
    tmp_path: Path, http: HttpGit, remote: GitRemote, objects: ClusterObjects, declared: dict[str, Any]
) -> None:
    """Not listed at all, or listed for something else."""
    objects.secret("one", url=http.url(remote), password=http.token)
    assert repository(tmp_path, http.url(remote), objects, **declared).fetch("main")


@pytest.mark.parametrize("in_cluster", [False, True])
def test_without_either_what_is_missing_is_said(
    tmp_path: Path, http: HttpGit, remote: GitRemote, objects: ClusterObjects, in_cluster: bool
) -> None:
    """First what to do, then the server's words; a repository of this machine needs nothing."""
    with pytest.raises(RepositoryDenied) as caught:
        repository(tmp_path, http.url(remote), objects if in_cluster else None).fetch("main")
    assert str(caught.value).startswith("no credentials are set for this repository: list it under repositories")
    assert ("cluster.repositorySecrets" in str(caught.value)) is in_cluster
    assert repository(tmp_path, remote.url, None).fetch("main")


def test_a_github_app_of_the_settings(tmp_path: Path, http: HttpGit, remote: GitRemote) -> None:
    """Its key is read from the named file when a token is minted; a file that is gone is named."""
    private, public = make_app_key()
    clock = ManualClock()
    http.token = "ghs_minted0123456789"
    key = tmp_path / "app.pem"
    with Receiver(GithubApi(public, clock.now, [http.token])) as api:
        app = {"appId": APP, "installationId": INSTALLATION, "privateKeyFile": str(key), "apiUrl": api.url}
        numbers = app | {"appId": int(APP), "installationId": int(INSTALLATION)}
        with pytest.raises(RepositoryDenied, match=r"githubApp\.privateKeyFile.*app\.pem"):
            repository(tmp_path, http.url(remote), None, credentials={"githubApp": numbers}).fetch("main")
        key.write_text(private)
        assert repository(tmp_path, http.url(remote), None, credentials={"githubApp": numbers}).fetch("main")


def test_spellings_of_one_repository_are_one(tmp_path: Path, objects: ClusterObjects) -> None:
    """One adapter, one mirror, one login."""
    made = Repositories(Settings(), tmp_path)
    assert made["https://git.example.com/a/b.git"] is made["https://GIT.example.com/a/b"]
