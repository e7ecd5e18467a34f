"""A pipeline of three stages that a real Argo CD deploys: a tag goes all the way, a bad one is stopped in the second."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.conftest import MakeSite
from tests.cluster.site import IMAGE, Site, plain
from tests.cluster.stack.api import ApiError, KubeApi
from tests.cluster.stack.forge_repository import Repository
from tests.cluster.stack.gitea import OWNER
from tests.cluster.stack.objects import Object
from tests.servers.images import image
from tests.servers.registry import DockerRegistry

STAGES = ("dev", "staging", "production")
FIELD = "spec.template.spec.containers[0].image"
AUTHOR = f"{OWNER} <{OWNER}@example.com>"
"""Somebody whom the forge knows: where it cannot tell who wrote a version, nobody may approve it."""
WAIT = 120.0


class Line:
    """Three applications of Argo CD's, and the image that moves through them."""

    def __init__(self, site: Site, source: Repository, registry: DockerRegistry) -> None:
        self.site, self.source, self.registry = site, source, registry
        self._head = ""

    def begin(self) -> None:
        """Version 1.0.0 is in the registry, and runs everywhere: from there on it is known who wrote what."""
        self.push("v1.0.0")
        for name in STAGES:
            self.site.push(self._tag(name, "v1.0.0"), name)
        for name in STAGES:
            self.site.until(lambda name=name: self.site.live(name) == self._tag(name, "v1.0.0"), f"1.0.0 in {name}")

    @staticmethod
    def _tag(stage: str, tag: str) -> str:
        """What a stage runs of a tag; staging runs the variant that it names."""
        return tag if stage == "staging" else tag.removeprefix("v").partition("-")[0]

    def declare(self) -> None:
        """The controller's settings, and the pipeline as an object of the cluster."""
        site = self.site
        token = site.folder / "token"
        reached = {
            "credentials": {"tokenFile": str(token), "username": OWNER},
            "forge": {"type": "gitea", "url": site.gitea.url, "tokenFile": str(token)},
        }
        site.extra["repositories"] = [{"url": each.url, **reached} for each in (site.repository, self.source)]
        site.extra["cluster"] = {"watchNamespaces": [site.namespace], "approvals": True}
        site.extra["registries"] = [{"host": self.registry.host}]
        trigger = {
            "repository": f"{self.registry.host}/shop/checkout",
            "tagPattern": r"^v(?P<version>\d+\.\d+\.\d+)(-.*)?$",
        }
        site.cluster.apply(
            {
                "apiVersion": "rollguard.dev/v1alpha1",
                "kind": "PromotionPipeline",
                "metadata": {"name": "checkout", "namespace": site.namespace},
                "spec": {"trigger": {"image": trigger, "interval": "5s"}, "stages": self._stages()},
            }
        )

    def _stages(self) -> list[dict[str, Any]]:
        """Staging runs the variant that the tag names; what is wrong with one shows there, and nowhere else."""
        stages = [
            {
                "name": name,
                "application": {"name": self.site.application(name), "namespace": "argocd"},
                "write": {
                    "updates": [
                        {
                            "file": f"apps/{name}/app.yaml",
                            "path": FIELD,
                            "value": f"{IMAGE}:{'{{tag}}' if name == 'staging' else '{{version}}'}",
                        }
                    ]
                },
            }
            for name in STAGES
        ]
        stages[1] |= {"mode": "PullRequest", "mergeWhen": {"checks": "Ignored"}}
        stages[2] |= {"mode": "PullRequest", "approvals": {"minimum": 1, "notAuthor": True}}
        return stages

    def push(self, tag: str) -> None:
        """The owner commits to the source, and its image is pushed."""
        revision = self.source.commit({"main.py": tag}, f"Write {tag}", author=AUTHOR)
        labels = {"org.opencontainers.image.revision": revision, "org.opencontainers.image.source": self.source.url}
        self.registry.push("shop/checkout", image(labels=labels), tag=tag)

    def place(self, stage: str) -> dict[str, Any]:
        """What the Promotion says of a stage; Argo CD is told of a new head, as a webhook of the forge would."""
        if (head := self.site.repository.head()) != self._head:
            self._head = head
            for each in STAGES:
                self.site.argocd.refresh(self.site.application(each))
        name = f"{self.site.namespace}.checkout"
        found = self.site.cluster.api.find("Promotion", self.site.own, name) or {}
        places = found.get("status", {}).get("places", [])
        return next((each for each in places if each["stage"] == stage), {})

    def reached(self, stage: str, version: str, phase: str) -> dict[str, Any]:
        """Wait until a version is so far in a stage."""
        wanted = (version, phase)

        def there() -> dict[str, Any] | None:
            found = self.place(stage)
            return found if (found.get("version"), found.get("phase")) == wanted else None

        try:
            found: dict[str, Any] = self.site.until(there, f"{version} {phase} in {stage}", WAIT)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\nit says: {self.place(stage)}") from None
        return found

    def pull_requests(self) -> list[tuple[str, bool]]:
        """Titles, and whether they were merged."""
        return [(each["title"], each["merged"]) for each in self.site.repository.pull_requests("all")]


@pytest.fixture
def line(make_site: MakeSite, tmp_path: Path) -> Iterator[Line]:
    """Three stages, adopted and guarded, before anything is pushed."""
    site = make_site(**{name: plain(name) for name in STAGES})
    source = site.gitea.create_repository(f"checkout-{uuid4().hex[:8]}")
    with DockerRegistry(tmp_path) as registry:
        made = Line(site, source, registry)
        made.begin()
        made.declare()
        site.guard()
        yield made
        site.stop()


def ann(site: Site) -> KubeApi:
    """Somebody who may approve the pipelines of the shop."""
    token = site.cluster.token_for(site.namespace, "ann")
    approver = next(
        each["metadata"]["name"]
        for each in site.cluster.api.list("ClusterRole")
        if each["metadata"]["name"].startswith(site.own) and each["metadata"]["name"].endswith("-approver")
    )
    site.cluster.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "ann", "namespace": site.namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": approver},
            "subjects": [{"kind": "ServiceAccount", "name": "ann", "namespace": site.namespace}],
        }
    )
    return site.cluster.client(token)


def approval(site: Site, identity: str) -> Object:
    """Ann's word for a version in production."""
    return {
        "apiVersion": "rollguard.dev/v1alpha1",
        "kind": "Approval",
        "metadata": {"name": f"approval-{uuid4().hex[:8]}", "namespace": site.namespace},
        "spec": {
            "pipeline": "checkout",
            "stage": "production",
            "version": identity,
            "user": f"system:serviceaccount:{site.namespace}:ann",
        },
    }


def approve(site: Site, identity: str) -> None:
    """Ann approves, once the API server knows of her rights."""
    api = ann(site)
    refused = ""

    def taken() -> bool:
        nonlocal refused
        try:
            api.create(approval(site, identity))
        except ApiError as error:
            refused = str(error)
            return False
        return True

    try:
        site.until(taken, "the approval to be taken")
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{refused}") from None
    finally:
        api.close()


def test_a_tag_goes_all_the_way_and_a_bad_one_is_stopped_in_staging(line: Line) -> None:
    """Dev by commit, staging by pull request, production once Ann approves; the next is bad in staging, and restored."""
    site = line.site
    line.push("v1.1.0")
    line.reached("dev", "1.1.0", "Passed")
    assert site.live("dev") == "1.1.0"
    line.reached("staging", "1.1.0", "Passed")
    waiting = line.reached("production", "1.1.0", "Proposed")
    assert site.live("production") == "1.0.0"
    approve(site, waiting["identity"])
    line.reached("production", "1.1.0", "Passed")
    assert site.live("production") == "1.1.0"
    assert line.pull_requests() == [
        ("Promote checkout 1.1.0 to production", True),
        ("Promote checkout 1.1.0 to staging", True),
    ]

    line.push("v1.2.0-bad")
    line.reached("dev", "1.2.0", "Passed")
    line.reached("staging", "1.2.0", "Stopped")
    site.until(lambda: site.live("staging") == "v1.1.0", "the restore of staging")
    site.until(lambda: site.story("staging")[-1].get("recovery") == "Recovered", "the recovery")
    assert site.live("production") == "1.1.0"
    assert not [title for title, _ in line.pull_requests() if title.endswith("1.2.0 to production")]
    assert line.place("production")["version"] == "1.1.0"
    assert site.alerts().count("RollguardPromotionStopped") == 1
