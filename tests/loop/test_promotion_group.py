"""Services that are promoted as one and restored as one: real Git, a real image registry and a real Prometheus."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Phase, Place, Progress
from tests.loop.site import Site, copied, until, write_yaml
from tests.servers.git import run_git
from tests.servers.images import image
from tests.servers.registry import DockerRegistry

SERVICES = ("checkout", "cart")
RATE = 600.0


class Release:
    """Two services in one stage, each with an image of its own."""

    def __init__(self, site: Site, registry: DockerRegistry) -> None:
        self.site, self.registry = site, registry
        site.remote.commit({f"apps/{name}/values.yaml": "image:\n  tag: v1.0.0\n" for name in SERVICES}, "Values")
        self.push("v1.0.0", *SERVICES)
        site.extra = {
            "registries": [{"host": registry.host}],
            "applications": copied(site, SERVICES),
        }
        stage = {
            "name": "dev",
            "application": {"name": "checkout"},
            "togetherWith": [{"name": "cart"}],
            "write": {"updates": [{"file": f"apps/{name}/values.yaml", "path": "image.tag"} for name in SERVICES]},
        }
        trigger = {
            "repository": f"{registry.host}/shop/checkout",
            "togetherWith": [f"{registry.host}/shop/cart"],
            "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)$",
        }
        declared = {
            "apiVersion": "rollguard.dev/v1alpha1",
            "kind": "PromotionPipeline",
            "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {"trigger": {"image": trigger, "interval": "5s"}, "stages": [stage]},
        }
        write_yaml(site.policies / "pipeline.yaml", declared)

    def push(self, tag: str, *services: str) -> None:
        """A new image of some services."""
        for name in services:
            self.registry.push(f"shop/{name}", image(labels={"version": f"{name} {tag}"}), tag=tag)
        if self.site.running is not None:
            self.site.running.promoter.hint(lambda _pipeline: True)

    @property
    def progress(self) -> Progress:
        """The pipeline's progress."""
        assert self.site.running is not None
        found = (progress for _, progress in self.site.running.promoter.pipelines())
        return next(found, Progress(ApplicationKey("shop", "shop")))

    def is_in(self, version: str, phase: Phase) -> bool:
        """Whether a version is so far."""
        found = self.progress.passage(Place("dev"))
        return found is not None and (found.version.name, found.phase) == (version, phase)

    def tags(self) -> list[str]:
        """What the branch says, service by service."""
        texts = [self.git("show", f"main:apps/{name}/values.yaml") for name in SERVICES]
        return [text.rpartition("tag: ")[2].strip() for text in texts]

    def git(self, *arguments: str) -> str:
        """Ask the server's repository."""
        return run_git(*arguments, cwd=self.site.remote.folder).decode()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """A real image registry."""
    with DockerRegistry(tmp_path) as running:
        yield running


@pytest.fixture
def release(make_site: Callable[..., Site], registry: DockerRegistry) -> Release:
    """The two services, with the controller running."""
    release = Release(make_site(*SERVICES, rate=RATE), registry)
    release.site.start()
    return release


def test_a_release_goes_as_one(release: Release) -> None:
    """It is there once both images have the tag; one commit brings it in, and both are judged before it has passed."""
    until(lambda: release.progress.known, "the first look")
    release.push("v1.1.0", "checkout")
    until(lambda: release.progress.known, "a look at half of it")
    assert [each.name for each in release.progress.known] == ["1.0.0"]
    release.push("v1.1.0", "cart")
    until(lambda: release.is_in("1.1.0", Phase.PASSED), "the release")
    assert release.tags() == ["v1.1.0", "v1.1.0"]
    assert release.git("show", "--format=%s", "--name-only", "main").split("\n") == [
        "Promote shop 1.1.0 to dev",
        "",
        "apps/cart/values.yaml",
        "apps/checkout/values.yaml",
        "",
    ]


@pytest.mark.parametrize("bad", [("cart",), ("cart", "checkout")])
def test_a_release_is_restored_as_one(release: Release, bad: tuple[str, ...]) -> None:
    """Whether one of the services breaks its SLO or both do: one commit takes the release out of both, and no other."""
    for name in bad:
        release.site.shops[name].bad_tags["v1.1.0"] = 0.4
    release.push("v1.1.0", *SERVICES)
    until(lambda: release.is_in("1.1.0", Phase.STOPPED), "the stop")
    until(lambda: release.tags() == ["v1.0.0", "v1.0.0"], "the restore")
    until(
        lambda: all(
            (rollout := release.site.rollout(name)).analysis is None or rollout.analysis.over for name in SERVICES
        ),
        "the end of what follows",
    )
    subjects = release.git("log", "--format=%s", "main").splitlines()
    assert sum(subject.startswith("Roll back") for subject in subjects) == 1
    said = release.git("log", "-1", "--format=%B", "main")
    assert "What was promoted together with it is undone as well: shop/" in said
    assert not [alert for name in SERVICES for alert in release.site.rollout(name).alerts]
