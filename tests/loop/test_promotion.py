"""Promotions on real Git, a real image registry and a real Prometheus: from stage to stage, each judged before the next."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.ports.promotion_inbox import FreezeCommand, PromoteCommand, ThawCommand, dump_promotion_command
from tests.loop.site import Site, copied, until, write_yaml
from tests.servers.git import run_git
from tests.servers.images import image
from tests.servers.registry import DockerRegistry

PIPELINE = ApplicationKey("shop", "checkout")
IMAGE = "shop/checkout"
STAGES = ("dev", "staging")
RATE = 600.0
"""Requests a second: so many show soon that a version is good."""


class Line:
    """A site with two stages, and a registry that their image comes from."""

    def __init__(self, site: Site, registry: DockerRegistry, **changes: Any) -> None:
        self.site = site
        self.registry = registry
        site.remote.commit({f"apps/{name}/values.yaml": values("v1.0.0") for name in STAGES}, "Values")
        self.push("v1.0.0")
        site.extra = {
            "registries": [{"host": registry.host}],
            "applications": copied(site, STAGES),
        }
        stages = [
            {
                "name": name,
                "application": {"name": name},
                "write": {"updates": [{"file": f"apps/{name}/values.yaml", "path": "image.tag"}]},
            }
            for name in STAGES
        ]
        stages[1] |= changes
        trigger = {"repository": f"{registry.host}/{IMAGE}", "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)$"}
        declared = {
            "apiVersion": "rollguard.dev/v1alpha1",
            "kind": "PromotionPipeline",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"trigger": {"image": trigger, "interval": "5s"}, "stages": stages},
        }
        write_yaml(site.policies / "pipeline.yaml", declared)

    def push(self, tag: str) -> None:
        """A new image."""
        self.registry.push(IMAGE, image(labels={"version": tag}), tag=tag)
        if self.site.running is not None:
            self.site.running.promoter.hint(lambda _pipeline: True)

    def tag(self, stage: str) -> str:
        """What the branch says."""
        text = run_git("show", f"main:apps/{stage}/values.yaml", cwd=self.site.remote.folder).decode()
        return next(line.partition(":")[2].strip() for line in text.splitlines() if line.strip().startswith("tag:"))

    @property
    def progress(self) -> Progress:
        """The pipeline's progress."""
        assert self.site.running is not None
        return next((progress for _, progress in self.site.running.promoter.pipelines()), Progress(PIPELINE))

    def passage(self, stage: str, version: str) -> Passage | None:
        """A version's way into a stage."""
        found = self.progress.passage(Place(stage))
        return found if found is not None and found.version.name == version else None

    def is_in(self, stage: str, version: str, phase: Phase) -> bool:
        """Whether a version is so far."""
        found = self.passage(stage, version)
        return found is not None and found.phase is phase

    def ask(self, command: Any) -> None:
        """What a person asks by the command line."""
        store = SqliteStore(self.site.folder / "state" / "state.db", create=False)
        store.receive("promotion", PIPELINE, dump_promotion_command(command), 0.0)
        store.close()

    def commits(self) -> list[str]:
        """Subjects of the branch, newest first."""
        return run_git("log", "--format=%s", "main", cwd=self.site.remote.folder).decode().splitlines()


def values(tag: str) -> str:
    """A stage's values: their comment, order and quoting must survive."""
    tag_line = f"  tag: {tag}   # by hand or by promotion\n"
    return f"# who changes this asks the shop team\nreplicas: 2\nimage:\n  repository: checkout\n{tag_line}"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """A real image registry."""
    with DockerRegistry(tmp_path) as running:
        yield running


@pytest.fixture
def line(make_site: Callable[..., Site], registry: DockerRegistry) -> Line:
    """Two stages that promote by commits."""
    return Line(make_site(*STAGES, rate=RATE), registry)


def test_a_good_version_goes_from_stage_to_stage(line: Line) -> None:
    """A new tag is committed to dev at once, to staging once dev has passed, and all else in the file stays as it was."""
    line.site.start()
    line.push("v1.1.0")
    until(lambda: line.is_in("staging", "1.1.0", Phase.PASSED), "the version in staging")
    assert [line.tag(stage) for stage in STAGES] == ["v1.1.0   # by hand or by promotion"] * 2
    assert line.commits()[:2] == ["Promote checkout 1.1.0 to staging", "Promote checkout 1.1.0 to dev"]
    said = run_git("log", "-1", "--format=%B", "main", cwd=line.site.remote.folder).decode()
    assert "Rollguard-Pipeline: shop/checkout\nRollguard-Stage: staging\nRollguard-Version: 1.1.0\n" in said
    assert f"Rollguard-Source: {line.registry.host}/{IMAGE}@sha256:" in said


def test_a_bad_version_is_stopped_in_dev(line: Line) -> None:
    """It breaks the SLO in dev: the guard restores dev, staging is never touched, and the next version may go."""
    line.site.shops["dev"].bad_tags["v1.1.0"] = 0.4
    line.site.start()
    line.push("v1.1.0")
    until(lambda: line.is_in("dev", "1.1.0", Phase.STOPPED), "the stop")
    until(lambda: line.tag("dev").startswith("v1.0.0"), "the restore")
    line.push("v1.2.0")
    until(lambda: line.is_in("staging", "1.2.0", Phase.PASSED), "the next version")
    assert not any("1.1.0 to staging" in subject for subject in line.commits())


def test_a_restart_makes_no_second_commit(line: Line) -> None:
    """The controller is stopped and started while a version is under way: it goes on, and each commit is there once."""
    line.site.start()
    line.push("v1.1.0")
    until(lambda: line.passage("dev", "1.1.0"), "the beginning")
    line.site.stop()
    line.site.run()
    until(lambda: line.is_in("staging", "1.1.0", Phase.PASSED), "the version in staging")
    line.site.stop()
    line.site.run()
    until(lambda: line.is_in("staging", "1.1.0", Phase.PASSED), "the version again")
    promoted = [subject for subject in line.commits() if subject.startswith("Promote")]
    assert promoted == ["Promote checkout 1.1.0 to staging", "Promote checkout 1.1.0 to dev"]


def test_a_freeze_holds_until_it_is_thawed(line: Line) -> None:
    """A person stops the line: nothing is written until a person lets it go on."""
    line.site.start()
    until(lambda: line.progress.known, "the first look")
    line.ask(FreezeCommand(by="dora", reason="incident 7"))
    until(lambda: line.progress.freezes, "the freeze")
    line.push("v1.1.0")
    until(lambda: line.passage("dev", "1.1.0"), "the waiting version")
    assert line.passage("dev", "1.1.0").sentence == "dora stopped the line: incident 7"  # type: ignore[union-attr]
    assert line.tag("dev").startswith("v1.0.0")
    line.ask(ThawCommand(by="dora"))
    until(lambda: line.tag("dev").startswith("v1.1.0"), "the commit")


def test_steps_are_one_chain_for_the_guard(make_site: Callable[..., Site], registry: DockerRegistry) -> None:
    """Weights rise commit by commit, each judged; a breach at a later step restores what was before the first."""
    step = {"file": "apps/staging/values.yaml", "path": "replicas", "values": [2, 3, 4]}
    line = Line(make_site(*STAGES, rate=RATE), registry, steps=[step])
    line.site.start()
    line.push("v1.1.0")
    until(lambda: line.is_in("staging", "1.1.0", Phase.PASSED), "all steps", 120)
    promoted = [subject for subject in line.commits() if " to staging" in subject]
    assert promoted == [f"Promote checkout 1.1.0 to staging (step {number} of 3)" for number in (3, 2, 1)]
    last = line.passage("staging", "1.1.0").deployed[-1]  # type: ignore[union-attr]
    until(lambda: line.site.rollout("staging").good.revision == last, "the verdict on all of them")  # type: ignore[union-attr]
    line.push("v1.2.0")
    until(lambda: (way := line.passage("staging", "1.2.0")) and way.step == 1 and way.deployed[1:], "step 2", 120)
    line.site.shops["staging"].bad_tags["v1.2.0"] = 0.4
    until(lambda: line.is_in("staging", "1.2.0", Phase.STOPPED), "the stop", 120)
    until(lambda: line.tag("staging").startswith("v1.1.0"), "the restore")
    text = run_git("show", "main:apps/staging/values.yaml", cwd=line.site.remote.folder).decode()
    assert "replicas: 4\n" in text


def test_a_person_promotes_what_was_taken_back(line: Line) -> None:
    """A person's revert in dev stays; a person's word brings the version in again."""
    line.site.start()
    line.push("v1.1.0")
    until(lambda: line.tag("dev").startswith("v1.1.0"), "the commit")
    until(lambda: line.is_in("dev", "1.1.0", Phase.JUDGING), "the deployment")
    line.site.remote.commit({"apps/dev/values.yaml": values("v1.0.0")}, "Not today")
    until(lambda: line.is_in("dev", "1.1.0", Phase.TAKEN_BACK), "the answer")
    identity = line.progress.known[0].identity
    line.ask(PromoteCommand(by="dora", stage="dev", version=identity))
    until(lambda: line.tag("dev").startswith("v1.1.0"), "the commit again")
