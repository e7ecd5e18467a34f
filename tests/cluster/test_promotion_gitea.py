"""Promotions on a real Gitea, registry and Prometheus: pull requests, reviews, and how far a bad version gets."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from controller.app import Rollguard, build
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.runtime.logs import Redactor
from controller.settings import load_settings
from tests.cluster.stack.gitea import Gitea
from tests.loop.site import Shop, policy, until, write_yaml
from tests.servers.images import image
from tests.servers.prometheus import PrometheusServer
from tests.servers.registry import DockerRegistry

STAGES = ("dev", "staging", "production")
KEY = ApplicationKey("shop", "checkout")
ROBOT, AUTHOR, LEAD = "robot", "bob", "ann"
WAIT = 120.0
RATE = 600.0
"""Requests a second: so many show soon that a version is good."""


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """A real Prometheus that scrapes every second."""
    with PrometheusServer(tmp_path_factory.mktemp("prometheus"), scrape_interval="1s") as server:
        yield server


@pytest.fixture(scope="session")
def people(gitea: Gitea) -> dict[str, str]:
    """Tokens of those who work here."""
    return {name: gitea.create_user(f"{name}-p", f"a-password-{name}") for name in (ROBOT, AUTHOR, LEAD)}


class Line:
    """Three stages in a repository of a forge, and the image that moves through them."""

    def __init__(
        self,
        folder: Path,
        gitea: Gitea,
        people: dict[str, str],
        prometheus: PrometheusServer,
        registry: DockerRegistry,
    ) -> None:
        self.folder, self.gitea, self.people, self.registry = folder, gitea, people, registry
        mark = uuid4().hex[:8]
        self.manifests = gitea.create_repository(f"manifests-{mark}")
        self.source = gitea.create_repository(f"checkout-{mark}")
        for each in (self.manifests, self.source):
            for name in people:
                each.collaborator(f"{name}-p")
        self.manifests.commit({f"apps/{name}/values.yaml": values("v1.0.0") for name in STAGES}, "Begin")
        self.shops = {name: Shop(f"{name}-{mark}", folder / f"deployed-{name}", RATE) for name in STAGES}
        for shop in self.shops.values():
            shop.push_history(prometheus)
        prometheus.set_targets([shop.target for shop in self.shops.values()])
        self.policies, self.prometheus = folder / "policies", prometheus
        self.running: Rollguard | None = None
        self.stages: list[dict[str, Any]] = [
            {
                "name": name,
                "application": {"name": name},
                "write": {"updates": [{"file": f"apps/{name}/values.yaml", "path": "image.tag"}]},
            }
            for name in STAGES
        ]
        self.stages[1] |= {"mode": "PullRequest", "mergeWhen": {"checks": "Ignored"}}
        self.stages[2] |= {"mode": "PullRequest", "approvals": {"minimum": 1, "notAuthor": True}}
        self.push("v1.0.0", "one")

    def start(self) -> None:
        """Declare everything, and start the controller."""
        token = self.folder / "token"
        token.write_text(self.people[ROBOT])
        token.chmod(0o600)
        for name in STAGES:
            document = policy(self.shops[name].name)
            document["metadata"]["name"] = name
            document["spec"]["application"] = {"name": name}
            write_yaml(self.policies / f"{name}.yaml", document)
        trigger = {
            "repository": f"{self.registry.host}/shop/checkout",
            "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)$",
        }
        pipeline = {
            "apiVersion": "rollguard.dev/v1alpha1",
            "kind": "PromotionPipeline",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"trigger": {"image": trigger, "interval": "5s"}, "stages": self.stages},
        }
        write_yaml(self.policies / "pipeline.yaml", pipeline)
        reached = {
            "credentials": {"tokenFile": str(token), "username": f"{ROBOT}-p"},
            "forge": {"type": "gitea", "url": self.gitea.url, "tokenFile": str(token)},
        }
        settings = {
            "metricsSources": {"default": {"prometheus": {"url": self.prometheus.url}}},
            "registries": [{"host": self.registry.host}],
            "repositories": [{"url": each.url, **reached} for each in (self.manifests, self.source)],
            "applications": [
                {
                    "name": name,
                    "namespace": "shop",
                    "repository": self.manifests.url,
                    "paths": [f"apps/{name}"],
                    "reconcile": {
                        "command": ["/bin/cp", f"apps/{name}/values.yaml", str(shop.deployed)],
                        "interval": "500ms",
                    },
                }
                for name, shop in self.shops.items()
            ],
            "store": {"sqlite": str(self.folder / "state" / "state.db")},
            "server": {"listen": "127.0.0.1:0"},
        }
        file = write_yaml(self.folder / "rollguard.yaml", settings)
        self.running = build(load_settings(file, {}), self.policies, Redactor())
        self.running.controller.start()
        running = self.running
        until(lambda: all(each.good for each in running.reconciler.rollouts()), "adoption")

    def stop(self) -> None:
        """Stop everything."""
        if self.running is not None:
            self.running.controller.stop()
        for shop in self.shops.values():
            shop.target.close()

    def push(self, tag: str, text: str) -> None:
        """Bob commits to the source, and its image is pushed."""
        revision = self.source.commit(
            {"main.py": text}, f"Write {text}", author=f"{AUTHOR}-p <{AUTHOR}-p@example.com>"
        )
        labels = {"org.opencontainers.image.revision": revision, "org.opencontainers.image.source": self.source.url}
        self.registry.push("shop/checkout", image(labels=labels), tag=tag)
        if self.running is not None:
            self.running.promoter.hint(lambda _pipeline: True)

    @property
    def progress(self) -> Progress:
        """The pipeline's progress."""
        assert self.running is not None
        return next((progress for _, progress in self.running.promoter.pipelines()), Progress(KEY))

    def passage(self, stage: str, version: str) -> Passage | None:
        """A version's way into a stage."""
        found = self.progress.passage(Place(stage))
        return found if found is not None and found.version.name == version else None

    def reached(self, stage: str, version: str, phase: Phase) -> Passage:
        """Wait until a version is so far."""

        def there() -> Passage | None:
            found = self.passage(stage, version)
            return found if found is not None and found.phase is phase else None

        found = until(there, f"{version} {phase} in {stage}", WAIT)
        assert isinstance(found, Passage)
        return found

    def says(self, sentence: str) -> None:
        """Wait until production's version says what it waits for."""
        said = ""

        def does() -> bool:
            nonlocal said
            found = self.progress.passage(Place("production"))
            said = found.sentence if found is not None else ""
            return sentence in said

        try:
            until(does, sentence, WAIT)
        except TimeoutError:
            raise AssertionError(f"it says: {said}") from None

    def tag(self, stage: str) -> str:
        """What the branch says."""
        text = self.manifests.read(f"apps/{stage}/values.yaml")
        return next(line.partition(":")[2].strip() for line in text.splitlines() if line.strip().startswith("tag:"))

    def statuses(self, head: str) -> dict[str, tuple[str, str]]:
        """What the forge shows beside a commit: state and description by name."""
        told = self.gitea.request("GET", f"{self.manifests.path}/commits/{head}/status")
        return {each["context"]: (each["status"], each["description"]) for each in told["statuses"] or ()}

    def approve(self, number: int, user: str) -> None:
        """Somebody reviews a pull request."""
        body = {"event": "APPROVED", "body": "Go on."}
        self.gitea.request("POST", f"{self.manifests.path}/pulls/{number}/reviews", self.people[user], json=body)


def values(tag: str) -> str:
    """A stage's values."""
    return f"replicas: 2\nimage:\n  repository: checkout\n  tag: {tag}\n"


@pytest.fixture
def make_line(
    tmp_path: Path, gitea: Gitea, people: dict[str, str], prometheus: PrometheusServer
) -> Iterator[Callable[[], Line]]:
    """Makes lines, and stops them."""
    lines: list[Line] = []
    with DockerRegistry(tmp_path) as registry:

        def make() -> Line:
            line = Line(tmp_path, gitea, people, prometheus, registry)
            lines.append(line)
            return line

        yield make
        for line in lines:
            line.stop()


def test_three_stages_to_the_end(make_line: Callable[[], Line]) -> None:
    """Dev by commit, staging by a pull request that Rollguard merges, production by one that a reviewer lets through."""
    line = make_line()
    line.start()
    line.push("v1.1.0", "two")
    line.reached("staging", "1.1.0", Phase.PASSED)
    waiting = line.reached("production", "1.1.0", Phase.PROPOSED)
    assert line.tag("staging") == "v1.1.0"
    assert waiting.pull_number is not None
    pull = next(each for each in line.manifests.pull_requests() if each["number"] == waiting.pull_number)
    assert pull["title"] == "Promote checkout 1.1.0 to production"
    assert "`apps/production/values.yaml` | `image.tag` | `v1.0.0` | `v1.1.0`" in pull["body"]
    assert "It passed **staging**" in pull["body"]
    assert "-  tag: v1.0.0\n+  tag: v1.1.0\n" in pull["body"]
    line.says("1 approval is missing")
    head = pull["head"]["sha"]
    until(lambda: line.statuses(head) == {"rollguard/promotion": ("pending", "1 approval is missing")}, "our status")
    line.approve(waiting.pull_number, LEAD)
    done = line.reached("production", "1.1.0", Phase.PASSED)
    assert done.approved_by == (f"{LEAD}-p",)
    assert line.statuses(head) == {"rollguard/promotion": ("success", "1.1.0 may go into production")}
    assert line.tag("production") == "v1.1.0"
    line.push("v1.2.0", "three")  # the forge keeps the branches of what was merged
    line.reached("staging", "1.2.0", Phase.PASSED)
    line.reached("production", "1.2.0", Phase.PROPOSED)


def test_an_author_cannot_approve(make_line: Callable[[], Line]) -> None:
    """Who wrote the source's commits between the two versions approves in vain, and is named."""
    line = make_line()
    line.start()
    line.push("v1.1.0", "two")
    waiting = line.reached("production", "1.1.0", Phase.PROPOSED)
    assert waiting.pull_number is not None
    line.approve(waiting.pull_number, AUTHOR)
    until(
        lambda: (
            f"{AUTHOR}-p wrote or triggered it and cannot approve it" in line.passage("production", "1.1.0").sentence
        ),  # type: ignore[union-attr]
        "the refusal",
        WAIT,
    )
    assert line.tag("production") == "v1.0.0"


def test_a_pull_request_that_conflicts_is_made_anew(make_line: Callable[[], Line]) -> None:
    """Somebody changes the same lines while it waits: its commit is made on the new head, and can be merged again."""
    line = make_line()
    line.start()
    line.push("v1.1.0", "two")
    waiting = line.reached("production", "1.1.0", Phase.PROPOSED)
    text = values("v1.0.0").replace("repository: checkout", "repository: shop/checkout")
    head = line.manifests.commit({"apps/production/values.yaml": text}, "Name the image in full")
    number = waiting.pull_number
    assert number is not None
    until(
        lambda: (found := line.passage("production", "1.1.0")) and found.commits[-1].parent == head,
        "a new commit",
        WAIT,
    )
    line.says("1 approval is missing")
    line.approve(number, LEAD)
    line.reached("production", "1.1.0", Phase.PASSED)
    assert "repository: shop/checkout\n  tag: v1.1.0" in line.manifests.read("apps/production/values.yaml")


def test_a_bad_version_is_stopped_in_staging(make_line: Callable[[], Line]) -> None:
    """It breaks the SLO in staging only: restored there by the guard, and production is never touched."""
    line = make_line()
    line.shops["staging"].bad_tags["v1.1.0"] = 0.4
    line.start()
    line.push("v1.1.0", "two")
    line.reached("staging", "1.1.0", Phase.STOPPED)
    until(lambda: line.tag("staging") == "v1.0.0", "the restore", WAIT)
    assert line.tag("production") == "v1.0.0"
    assert all("production" not in each["title"] for each in line.manifests.pull_requests("all"))


def test_a_protected_branch_gets_a_pull_request(make_line: Callable[[], Line]) -> None:
    """Dev's commit is refused by the branch's protection: it is proposed, and a person's merge lets it go on."""
    line = make_line()
    line.start()
    line.manifests.protect()
    line.push("v1.1.0", "two")
    waiting = line.reached("dev", "1.1.0", Phase.PROPOSED)
    assert waiting.pull_number is not None
    line.manifests.merge(waiting.pull_number, "squash")
    line.reached("dev", "1.1.0", Phase.PASSED)
    assert line.tag("dev") == "v1.1.0"


def test_a_forge_that_is_down_after_the_push_loses_nothing(make_line: Callable[[], Line]) -> None:
    """The branch is pushed and the forge goes away before the pull request is opened: one is opened once it is back."""
    line = make_line()
    line.start()
    line.push("v1.1.0", "two")
    line.reached("dev", "1.1.0", Phase.JUDGING)
    line.gitea.process.stop()
    try:
        until(lambda: line.progress.passage(Place("dev")).sentence, "some time", WAIT)  # type: ignore[union-attr]
    finally:
        line.gitea.start()
    waiting = line.reached("production", "1.1.0", Phase.PROPOSED)
    titles = [each["title"] for each in line.manifests.pull_requests("all")]
    assert titles.count("Promote checkout 1.1.0 to staging") == 1
    assert titles.count("Promote checkout 1.1.0 to production") == 1
    assert waiting.pull_number is not None
