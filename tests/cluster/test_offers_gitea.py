"""Restores by pull request on a real Gitea and Prometheus, without a cluster: merged, declined, closed, told by day."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from controller.app import Rollguard, build
from controller.core.application import ApplicationKey
from controller.core.state import Phase, Rollout
from controller.runtime.logs import Redactor
from controller.settings import load_settings
from tests.cluster.stack.gitea import Gitea
from tests.loop.site import Shop, manifest, policy, until, write_yaml
from tests.servers.prometheus import PrometheusServer

KEY = ApplicationKey("shop", "checkout")
FILE = "apps/checkout/app.yaml"
WAIT = 120.0


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real Prometheus that scrapes every second."""
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), scrape_interval="1s") as server:
        yield server


@pytest.fixture(scope="session")
def people(gitea: Gitea) -> dict[str, str]:
    """Tokens of those who work here."""
    return {name: gitea.create_user(f"{name}-o", f"a-password-{name}") for name in ("robot", "ann")}


class Offering:
    """One application in a repository of the forge, and a controller that is no administrator there."""

    def __init__(self, folder: Path, gitea: Gitea, people: dict[str, str], prometheus: PrometheusServer) -> None:
        self.folder, self.gitea, self.people, self.prometheus = folder, gitea, people, prometheus
        mark = uuid4().hex[:8]
        self.repository = gitea.create_repository(f"offers-{mark}")
        for name in people:
            self.repository.collaborator(f"{name}-o")
        self.repository.commit({FILE: manifest("one")}, "Begin")
        self.shop = Shop(f"checkout-{mark}", folder / "deployed")
        self.shop.push_history(prometheus)
        prometheus.set_targets([self.shop.target])
        self.running: Rollguard | None = None

    def start(self, **changes: Any) -> None:
        """Declare the policy, start the controller, and wait until the first version is adopted."""
        token = self.folder / "token"
        token.write_text(self.people["robot"])
        token.chmod(0o600)
        document = policy(self.shop.name, **changes)
        document["metadata"]["name"] = "checkout"
        document["spec"]["application"] = {"name": "checkout"}
        write_yaml(self.folder / "policies" / "checkout.yaml", document)
        reached = {
            "url": self.repository.url,
            "credentials": {"tokenFile": str(token), "username": "robot-o"},
            "forge": {"type": "gitea", "url": self.gitea.url, "tokenFile": str(token)},
        }
        command = {"command": ["/bin/cp", FILE, str(self.shop.deployed)], "interval": "500ms"}
        settings = {
            "metricsSources": {"default": {"prometheus": {"url": self.prometheus.url}}},
            "repositories": [reached],
            "applications": [
                {
                    "name": "checkout",
                    "namespace": "shop",
                    "repository": self.repository.url,
                    "paths": ["apps/checkout"],
                    "reconcile": command,
                }
            ],
            "store": {"sqlite": str(self.folder / "state" / "state.db")},
            "server": {"listen": "127.0.0.1:0"},
        }
        loaded = load_settings(write_yaml(self.folder / "rollguard.yaml", settings), {})
        self.running = build(loaded, self.folder / "policies", Redactor())
        self.running.controller.start()
        until(lambda: self.rollout().good, "adoption", WAIT)

    def close(self) -> None:
        """Stop everything that this has started."""
        if self.running is not None:
            self.running.controller.stop()
        self.shop.target.close()

    def rollout(self) -> Rollout:
        """The application's state."""
        assert self.running is not None
        return self.running.reconciler.rollout(KEY)

    def commit(self, version: str, share: float = 0.001) -> str:
        """Push a version that serves this share of errors."""
        return self.repository.commit({FILE: manifest(version, share)}, f"Deploy {version}")

    def pull(self) -> dict[str, Any]:
        """The pull request of the restore, once it is opened and the controller knows it."""
        until(self.offered_as, "the pull request", WAIT)
        found = self.repository.pull_requests("all")
        assert [each["number"] for each in found] == [self.offered_as()]
        return found[0]

    def offered_as(self) -> int | None:
        """The number of the pull request that the restore has."""
        rollback = self.rollout().rollback
        return rollback.pull_request if rollback is not None else None

    def as_ann(self, method: str, path: str, body: dict[str, Any]) -> None:
        """A person does something with the pull request."""
        self.gitea.request(method, f"{self.repository.path}{path}", self.people["ann"], json=body)

    def idle(self) -> bool:
        """Whether the story is over."""
        rollout = self.rollout()
        return rollout.phase is Phase.IDLE and not rollout.offers


@pytest.fixture
def offering(
    tmp_path: Path, gitea: Gitea, people: dict[str, str], prometheus: PrometheusServer
) -> Iterator[Offering]:
    """A repository with one good version."""
    made = Offering(tmp_path, gitea, people, prometheus)
    yield made
    made.close()


def alerts(offering: Offering) -> dict[str, Any]:
    """What is open, by name."""
    return {each.name.value: each for each in offering.rollout().alerts}


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_a_protected_branch_gets_a_pull_request_that_a_person_merges(offering: Offering, how: str) -> None:
    """The push is refused: one is opened and linked; merged by a person it is deployed, and the service recovers."""
    offering.start()
    bad = offering.commit("two", 0.3)
    offering.repository.protect()
    pull = offering.pull()
    assert (pull["base"]["ref"], [each["name"] for each in pull["labels"]]) == ("main", ["rollguard"])
    assert pull["title"].startswith("Roll back checkout to ")
    assert "| `availability` |" in pull["body"]
    assert offering.repository.head() == bad
    assert dict(alerts(offering)["RollguardPullRequestOpened"].links)["pull_request"] == pull["html_url"]
    offering.as_ann("POST", f"/pulls/{pull['number']}/merge", {"Do": how})
    until(lambda: "version: one" in offering.shop.deployed.read_text(), "the old version", WAIT)
    until(offering.idle, "the recovery", WAIT)
    assert alerts(offering).keys() <= {"RollguardRollbackPathLost"}
    assert len(offering.repository.pull_requests("all")) == 1


def test_somebody_elses_restore_closes_the_pull_request(offering: Offering) -> None:
    """A person reverts by hand: closed in the forge, with the reason, and its branch stays."""
    offering.start(onBreach={"action": "PullRequest"})
    offering.commit("two", 0.3)
    pull = offering.pull()
    offering.commit("one")
    until(offering.idle, "the recovery", WAIT)
    found = offering.repository.pull_requests("closed")
    assert [(each["number"], each["merged"]) for each in found] == [(pull["number"], False)]
    said = offering.gitea.request("GET", f"{offering.repository.path}/issues/{pull['number']}/comments")
    assert "Closed by Rollguard" in said[0]["body"]
    assert offering.repository.head(pull["head"]["ref"]) == pull["head"]["sha"]


def test_a_person_who_closes_it_is_heard(offering: Offering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed without a merge: told once, and none is opened again."""
    monkeypatch.setattr("controller.core.offer_answers.LOOK_EVERY", 1.0)
    offering.start(onBreach={"action": "PullRequest"})
    offering.commit("two", 0.3)
    pull = offering.pull()
    offering.as_ann("PATCH", f"/pulls/{pull['number']}", {"state": "closed"})
    until(lambda: offering.rollout().declined, "the answer", WAIT)
    until(lambda: "RollguardBreached" in alerts(offering), "the alert", WAIT)
    assert offering.repository.pull_requests() == []


def test_a_protected_branch_is_told_by_day(offering: Offering) -> None:
    """No push was tried yet: the forge itself says that our user may not push; opened, it is over at the next start."""
    offering.repository.protect()
    offering.start()
    until(lambda: "RollguardRollbackPathLost" in alerts(offering), "the alert", WAIT)
    told = alerts(offering)["RollguardRollbackPathLost"].description
    assert "The forge says that main is protected" in told
