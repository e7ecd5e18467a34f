"""Credentials out of a real API server into a real forge, by a ServiceAccount that may ``get`` two Secrets and no more."""

import logging
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiDenied
from controller.adapters.kubernetes.resources import CONFIG_MAPS, SECRETS
from controller.adapters.repository.cluster_secrets import ClusterSecrets
from controller.app.repositories import Repositories
from controller.core.application import Revision
from controller.core.git import BuiltCommit, CommitIdentity, PushOutcome, PushResult, RestoreRequest, RollbackPath
from controller.ports.repository import Repository, RepositoryDenied
from controller.settings import Settings
from tests.cluster.conftest import MakeSite
from tests.cluster.helm import rendered
from tests.cluster.stack.argocd import ArgoCD
from tests.cluster.stack.control_plane import ControlPlane
from tests.cluster.stack.forge_repository import Repository as ForgeRepository
from tests.cluster.stack.gitea import Gitea
from tests.cluster.stack.objects import Object, kind_of
from tests.cluster.stack.processes import until
from tests.fakes.manual_clock import ManualClock

READ, WRITE, OTHER = "shop-read", "shop-write", "another-team"


def secret(namespace: str, name: str, kind: str, *, url: str, user: str, token: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"argocd.argoproj.io/secret-type": kind}},
        "stringData": {"type": "git", "url": url, "username": user, "password": token},
    }


def rights(own: str, argocd: str, release: str, names: list[str]) -> list[Object]:
    """The Role that the chart makes for Argo CD's Secrets, and its binding."""
    values = {"argocd": {"namespace": argocd, "repositorySecrets": names}, "crds": {"install": False}}
    return [
        each for each in rendered(own, values, release=release) if each["metadata"]["name"].endswith("-repositories")
    ]


@dataclass
class Desk:
    """A private repository, a user who may read it, one who may write, and a ServiceAccount."""

    cluster: ControlPlane
    gitea: Gitea
    namespace: str
    """Stands for Argo CD's."""
    manifests: ForgeRepository
    tokens: dict[str, str]
    """By user."""
    reader: str
    writer: str
    api: Api
    folder: Path
    clock: ManualClock
    seen: list[str]

    def give(self, name: str, kind: str, user: str, token: str | None = None) -> None:
        self.cluster.apply(
            secret(self.namespace, name, kind, url=self.manifests.url, user=user, token=token or self.tokens[user])
        )

    def repository(self, *names: str) -> Repository:
        """As the composition root makes it from the settings."""
        secrets = ClusterSecrets(self.api, self.namespace, names, self.clock, seen=self.seen.append)
        kubernetes = {"kubernetes": {"cacheDirectory": str(self.folder)}}
        settings = Settings.model_validate(
            {"store": kubernetes, "cluster": {"argocdNamespace": self.namespace, "repositorySecrets": names}}
        )
        return Repositories(settings, self.folder, self.clock, secrets)[self.manifests.url]

    def restore(self, repository: Repository) -> tuple[BuiltCommit, PushOutcome]:
        """Two versions, of which the first is put back, by a push."""
        mark = uuid4().hex
        good = Revision(self.manifests.commit({"apps/a.yaml": f"version: good-{mark}\n"}))
        bad = Revision(self.manifests.commit({"apps/a.yaml": f"version: bad-{mark}\n"}))
        facts = repository.inspect(RestoreRequest("main", ("apps",), good, bad))
        assert facts.tree is not None
        commit = repository.build(
            parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=1_800_000_000
        )
        return commit, repository.push(commit, "main", facts.head)


@pytest.fixture
def desk(control_plane: ControlPlane, gitea: Gitea, namespace: str, tmp_path: Path) -> Desk:
    mark = uuid4().hex[:8]
    manifests = gitea.create_repository(f"private-{mark}")
    manifests.commit({"apps/a.yaml": "version: one\n"})
    gitea.request("PATCH", manifests.path, json={"private": True})
    tokens = {}
    for user, permission in ((f"reader-{mark}", "read"), (f"writer-{mark}", "write")):
        tokens[user] = gitea.create_user(user, uuid4().hex)
        manifests.collaborator(user, permission)
    control_plane.apply(rights(namespace, namespace, "rollguard", [READ, WRITE]))
    api = Api.connect(control_plane.kubeconfig_for(namespace, "rollguard"))
    reader, writer = tokens
    return Desk(control_plane, gitea, namespace, manifests, tokens, reader, writer, api, tmp_path, ManualClock(), [])


def test_the_rights_reach_the_named_secrets_and_no_further(desk: Desk) -> None:
    """``get`` of the named ones; no other one, no list, and none of another kind but the two ConfigMaps."""
    desk.give(WRITE, "repository-write", desk.writer)
    desk.give(OTHER, "repository-write", desk.writer)
    assert desk.api.get(SECRETS, desk.namespace, WRITE)["metadata"]["name"] == WRITE
    forbidden = [
        lambda: desk.api.get(SECRETS, desk.namespace, OTHER),
        lambda: desk.api.list(SECRETS, desk.namespace),
        lambda: desk.api.get(CONFIG_MAPS, desk.namespace, "argocd-cm"),
        lambda: desk.api.delete(SECRETS, desk.namespace, WRITE),
    ]
    for ask in forbidden:
        with pytest.raises(ApiDenied):
            ask()


def test_a_restore_is_pushed_with_the_write_secrets_token(desk: Desk) -> None:
    """Of a Secret for reading and one for writing the latter is used: the forge takes the push, as the writer's."""
    desk.give(READ, "repository", desk.reader)
    desk.give(WRITE, "repository-write", desk.writer)
    repository = desk.repository(READ, WRITE)
    commit, outcome = desk.restore(repository)
    assert outcome.result is PushResult.PUSHED
    assert desk.manifests.head() == commit.revision

    def pushed_by() -> set[str]:
        events = desk.gitea.request("GET", f"{desk.manifests.path}/activities/feeds")
        return {each["act_user"]["login"] for each in events if str(commit.revision) in each["content"]}

    until(lambda: pushed_by() == {desk.writer}, "the forge's note of who pushed")


def test_a_secret_for_reading_reads_and_does_not_push(desk: Desk) -> None:
    """The forge refuses the push itself (its dry run lets readers in, who may offer pull requests); no token is shown."""
    desk.give(READ, "repository", desk.reader)
    repository = desk.repository(READ)
    commit, outcome = desk.restore(repository)
    assert outcome.result in (PushResult.PROTECTED, PushResult.PUSH_RULE)
    assert desk.tokens[desk.reader] not in outcome.message
    assert repository.fetch("main") == desk.manifests.head() == commit.parent
    assert repository.rollback_path("main") is RollbackPath.PULL_REQUEST


def test_a_rotated_token_counts_in_the_call_that_the_old_one_failed(desk: Desk) -> None:
    """The token in the Secret is revoked and replaced: the next push reads it again, and goes through."""
    desk.give(WRITE, "repo-write-creds", desk.writer, token="0" * 40)
    repository = desk.repository(WRITE)
    with pytest.raises(RepositoryDenied):
        repository.fetch("main")
    desk.give(WRITE, "repo-write-creds", desk.writer)
    desk.clock.advance(10)
    _, outcome = desk.restore(repository)
    assert outcome.result is PushResult.PUSHED


def test_a_secret_that_our_role_does_not_name_is_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """What to mend is in the error: which Secret, and where it must be named; no token is in an error or a log."""
    desk.give(OTHER, "repository-write", desk.writer)
    with caplog.at_level(logging.DEBUG), pytest.raises(RepositoryDenied) as caught:
        desk.repository(OTHER).fetch("main")
    said = str(caught.value)
    assert said.startswith("no credentials are set for this repository")
    assert f"Secret {desk.namespace}/{OTHER} may not be read" in said
    for token in desk.tokens.values():
        assert token not in said
        assert token not in caplog.text


def test_tokens_are_told_to_the_logs_mask_and_lie_in_private_files(desk: Desk) -> None:
    """Known to the redactor before they are used; on disk they are 0600, and in no name or configuration of the mirror."""
    desk.give(WRITE, "repository-write", desk.writer)
    repository = desk.repository(WRITE)
    assert repository.rollback_path("main") is RollbackPath.PUSH
    token = desk.tokens[desk.writer]
    assert desk.seen == [token]
    holding = [each for each in desk.folder.rglob("*") if each.is_file() and token.encode() in each.read_bytes()]
    assert [(each.stat().st_mode & 0o777, each.parent.stat().st_mode & 0o777) for each in holding] == [(0o600, 0o700)]


@pytest.mark.timeout(600)
def test_a_repository_without_credentials_is_told_once_and_mended_without_a_restart(
    make_site: MakeSite, argocd: ArgoCD, gitea: Gitea
) -> None:
    """Argo CD reads a repository, and Rollguard may not: a condition, an Event, an alert, once; then a Secret is given."""
    shop = make_site()
    name, mark = f"write-{shop.namespace}", uuid4().hex[:8]
    argocd.repository(f"read-{shop.namespace}", shop.repository.url, "owner", gitea.token)
    gitea.request("PATCH", shop.repository.path, json={"private": True})
    token = gitea.create_user(f"writer-{mark}", uuid4().hex)
    shop.repository.collaborator(f"writer-{mark}")
    shop.extra = {
        "repositories": [],
        "cluster": {"watchNamespaces": [shop.namespace], "repositorySecrets": [name]},
    }
    allowed = rights(shop.own, "argocd", shop.own, [name])
    shop.cluster.apply(allowed)
    shop.declare()
    shop.start()

    def condition() -> dict[str, str]:
        policy = shop.cluster.get("SLOPolicy", shop.namespace, shop.application("checkout"))
        found = policy.get("status", {}).get("conditions", [])
        return next((each for each in found if each["type"] == "RollbackPath"), {})

    def events() -> list[Object]:
        found = shop.cluster.api.list("Event.events.k8s.io", shop.namespace)
        return [each for each in found if each["reason"] == "RollbackPathLost"]

    shop.until(lambda: shop.told("RollguardRollbackPathLost"), "the alert")
    shop.until(lambda: condition().get("status") == "False", "the condition")
    told = condition()
    assert "no credentials are set for this repository" in told["message"]
    assert f"Secret argocd/{name} does not exist" in told["message"]
    shop.until(events, "the Event")
    tries = "a deployed revision cannot be identified yet"
    shop.until(lambda: shop.log().count(tries) >= 4, "more tries")
    assert shop.alerts() == ["RollguardRollbackPathLost"]
    assert [each.get("series") for each in events()] == [None]
    shop.cluster.apply(
        secret("argocd", name, "repository-write", url=shop.repository.url, user=f"writer-{mark}", token=token)
    )
    shop.until(shop.adopted, "adoption")
    shop.until(lambda: condition().get("status") == "True", "the way that is open again", 300)
    assert shop.alerts() == ["RollguardRollbackPathLost"]
    assert token not in shop.log()
    shop.cluster.delete("Secret", "argocd", name)
    shop.cluster.delete("Secret", "argocd", f"read-{shop.namespace}")
    for each in allowed:
        shop.cluster.delete(kind_of(each), "argocd", each["metadata"]["name"])
