"""``rollguard drift`` on real Git: environments against each other, and Git against what the guard knows is live."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from controller.adapters.store import SqliteStore
from controller.cli.declared_pipelines import declared_pipelines
from controller.cli.failures import CommandError
from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.delivery import Delivery
from controller.core.promotion.fields import Scalar
from controller.core.promotion.locks import ItemChange, LockedItem
from controller.core.promotion.progress import Guarded, OpenOffence, Progress, PutBackProposal, dump_progress
from controller.core.promotion.progress import Place as Stage
from controller.core.promotion.version import Version
from controller.core.state import Deployed, Rollout, dump_rollout
from controller.ports.promotions import PipelineChange
from controller.ports.store import Change
from controller.settings import load_settings
from tests.cli.conftest import Run
from tests.servers.git import FIRST_DATE, GitRemote, run_git

KEY = ApplicationKey("shop", "checkout")
STAGES = ("dev", "production")
VALUES = """\
# who changes this asks the shop team
replicas: {replicas}
image: {{repository: checkout, tag: {tag}}}
debug: {debug}
"""


def values(tag: str, replicas: int = 2, *, debug: bool = False) -> str:
    """A stage's file."""
    return VALUES.format(tag=tag, replicas=replicas, debug=str(debug).lower())


class Place:
    """An installation: manifests, source, a pipeline and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests = GitRemote(folder / "manifests.git")
        self.source = GitRemote(folder / "source.git")
        self.commits = [self.source.commit({"main.go": str(number)}, f"Change {number}") for number in range(3)]
        self.versions = tuple(
            Version(
                f"1.{number}.0",
                f"v1.{number}.0",
                f"sha256:{number:064}",
                "registry.example.com/shop/checkout",
                revision=self.commits[number],
                source=self.source.url,
            )
            for number in reversed(range(3))
        )
        self.head = self.manifests.commit({f"envs/{name}/values.yaml": values("v1.0.0") for name in STAGES}, "Begin")
        self._declare()
        self.store = SqliteStore(folder / "state" / "state.db")
        progress = Progress(KEY, known=self.versions)
        self.store.commit_pipeline(PipelineChange(KEY, 0, dump_progress(progress)))

    def _declare(self) -> None:
        stages = [
            {
                "name": name,
                "application": {"name": name},
                "write": {"updates": [{"file": f"envs/{name}/values.yaml", "path": "image.tag"}]},
            }
            for name in STAGES
        ]
        trigger = {"repository": "registry.example.com/shop/checkout", "tagPattern": "^v(?P<version>.+)$"}
        pipeline = {
            "apiVersion": "rollguard.dev/v1alpha1",
            "kind": "PromotionPipeline",
            "metadata": {"name": "checkout", "namespace": "shop"},
            "spec": {"trigger": {"image": trigger}, "stages": stages},
        }
        applications = [
            {
                "name": name,
                "namespace": "shop",
                "repository": self.manifests.url,
                "paths": [f"envs/{name}"],
                "reported": {},
            }
            for name in STAGES
        ]
        (self.folder / "policies").mkdir()
        (self.folder / "policies" / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
        settings = {"applications": applications, "store": {"sqlite": "state/state.db"}}
        (self.folder / "drift.yaml").write_text(yaml.safe_dump(settings))

    def commit(self, stage: str, text: str) -> str:
        """Somebody commits a stage's file."""
        self.head = self.manifests.commit({f"envs/{stage}/values.yaml": text}, f"Change {stage}")
        return self.head

    def live(self, stage: str, revision: str, version: int = 0, **delivery: Any) -> None:
        """The guard was told that a stage runs this revision."""
        tree = run_git("rev-parse", f"{revision}:envs/{stage}", cwd=self.manifests.folder).decode().strip()
        key = ApplicationKey("shop", stage)
        rollout = Rollout(
            application=Application(key, GitSource(self.manifests.url, "main", (f"envs/{stage}",))),
            live=Deployed(Revision(revision), Content(((f"envs/{stage}", tree),)), float(FIRST_DATE)),
            delivery=Delivery(**delivery),
        )
        self.store.commit(Change(key, version, dump_rollout(rollout)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two stages that are equal."""
    return Place(tmp_path)


Drift = Callable[..., Any]


@pytest.fixture
def drift(run: Run, place: Place) -> Drift:
    """Runs the command there."""
    where = ("--settings", str(place.folder / "drift.yaml"), "--policies", str(place.folder / "policies"))
    return lambda *arguments: run("drift", *where, *arguments)


def test_equal_environments_exit_0(place: Place, drift: Drift) -> None:
    """The version, and that what is live is as in Git where the guard knows it."""
    place.live("dev", place.head)
    said = drift()
    assert said.exit_code == 0, said.output
    assert "shop/checkout: no drift" in said.stdout
    assert [line.split()[:2] for line in said.stdout.splitlines() if line.startswith(("dev", "prod"))] == [
        ["dev", "1.0.0"],
        ["production", "1.0.0"],
    ]
    assert "as in Git" in said.stdout
    assert "not known" in said.stdout


def test_what_production_has_not_got_exits_1(place: Place, drift: Drift) -> None:
    """Field, versions and source commits in between, and since when dev has it: not since its newest commit."""
    place.commit("dev", values("v1.2.0"))
    place.commit("dev", values("v1.2.0", replicas=3))
    said = drift("checkout")
    assert said.exit_code == 1, said.output
    assert "image.tag: v1.2.0 in dev, v1.0.0 in production" in said.stdout
    assert "production has not got 1.2.0, 1.1.0 yet" in said.stdout
    assert "2 source commits in between" in said.stdout
    assert f"{place.commits[2][:12]} Change 2 (Ann Author)" in said.stdout
    assert "replicas" not in said.stdout
    (told,) = json.loads(drift("-o", "json").stdout)["pipelines"]
    dev, _ = told["places"]
    (pair,) = told["pairs"]
    assert (told["drift"], told["complete"], dev["version"], dev["head"]) == (True, True, "1.2.0", place.head)
    changed_at = int(run_git("log", "-1", "--format=%ct", f"{place.head}~1", cwd=place.manifests.folder))
    assert datetime.fromisoformat(dev["since"]).timestamp() == changed_at
    assert pair["fields"] == [{"field": "image.tag", "earlier": "v1.2.0", "later": "v1.0.0"}]
    assert pair["versions_missing_in_later"] == ["1.2.0", "1.1.0"]
    assert [each["subject"] for each in pair["source_commits"]] == ["Change 1", "Change 2"]


def test_every_field_is_shown_and_does_not_count(place: Place, drift: Drift) -> None:
    """Environments are meant to differ in most fields: --fields shows them, and exits 0."""
    place.commit("production", values("v1.0.0", replicas=6))
    said = drift("--fields")
    assert said.exit_code == 0, said.output
    assert "envs/dev/values.yaml (dev) against envs/production/values.yaml (production)" in said.stdout
    assert "replicas: 2, 6" in said.stdout
    assert "debug" not in said.stdout
    (told,) = json.loads(drift("--fields", "-o", "json").stdout)["pipelines"]
    assert told["pairs"][0]["files"][0]["fields"] == [
        {"document": None, "field": "replicas", "earlier": "2", "later": "6"}
    ]


def test_what_is_live_is_compared_by_content(place: Place, drift: Drift) -> None:
    """Another application's commit is no drift; a commit of its own that is not deployed is, and says what it waits for."""
    old = place.head
    place.live("dev", old, blocked="a deny window holds until 18:00")
    place.commit("production", values("v1.0.0", debug=True))
    assert drift().exit_code == 0
    place.commit("dev", values("v1.0.0", debug=True))
    said = drift()
    assert said.exit_code == 1
    assert f"not what Git has: {old[:12]}" in said.stdout
    assert "a deny window holds until 18:00" in said.stdout


def test_what_was_changed_beside_git_is_named(place: Place, drift: Drift) -> None:
    """As the reconciler told the guard."""
    place.live("production", place.head, drift=("Deployment shop/checkout",), drifted_at=float(FIRST_DATE))
    said = drift("-o", "json")
    assert said.exit_code == 1
    (told,) = json.loads(said.stdout)["pipelines"]
    assert told["places"][1]["live"]["drift"] == "Changed"
    assert told["places"][1]["live"]["objects"] == ["Deployment shop/checkout"]


def test_what_cannot_be_read_exits_3(place: Place, drift: Drift) -> None:
    """A file that is gone, and a repository that is gone: the sentence names it, and the other stage is still told."""
    place.manifests.commit({"envs/production/values.yaml": None, "envs/production/x": "x"}, "Remove")
    said = drift()
    assert said.exit_code == 3
    assert "envs/production/values.yaml: is not in the repository" in said.stdout
    place.manifests.folder.rename(place.folder / "elsewhere")
    said = drift("-o", "json")
    assert said.exit_code == 3
    (told,) = json.loads(said.stdout)["pipelines"]
    assert told["complete"] is False


def test_what_comes_from_outside_is_no_markup(place: Place, drift: Drift) -> None:
    """Control characters in a value do not reach the terminal, and a long one is cut."""
    place.commit("dev", 'image: {tag: "[red]\\e[31m' + "x" * 500 + '"}\n')
    said = drift()
    assert said.exit_code == 1
    assert "\x1b" not in said.stdout
    assert "[red]" in said.stdout
    assert "x" * 100 not in next(line for line in said.stdout.splitlines() if "image.tag" in line)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chekout",), "there is no pipeline 'chekout': did you mean shop/checkout?"),
        (("--policies", "/nowhere"), "there is no such directory"),
    ],
)
def test_wrong_use_says_what_there_is(drift: Drift, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2."""
    found = drift(*arguments)
    assert said in str(found.exception) or said in found.output
    assert found.exit_code != 0


def test_locked_lists_what_is_locked_and_what_was_changed(place: Place, run: Run) -> None:
    """Files and fields with what a change leads to; exit 1 while a change holds without approval."""
    file = place.folder / "policies" / "pipeline.yaml"
    declared = yaml.safe_load(file.read_text())
    declared["spec"]["stages"][1] |= {
        "locked": [
            {"file": "envs/production/values.yaml", "fields": ["replicas"]},
            {"paths": ["envs/production/network/**"]},
        ],
        "onLockedChange": "Restore",
    }
    file.write_text(yaml.safe_dump(declared))
    where = ("--settings", str(place.folder / "drift.yaml"), "--policies", str(file.parent))
    said = run("locked", *where)
    assert said.exit_code == 0, said.output
    assert "envs/production/values.yaml replicas  Restore" in said.stdout
    assert "envs/production/network/**" in said.stdout
    item = LockedItem("envs/production/values.yaml", path="replicas")
    offence = OpenOffence(Revision("a" * 40), (ItemChange(item, Scalar("2"), Scalar("9")),))
    pull = PutBackProposal("https://git.example.com/shop.git", 7, "https://git.example.com/shop/pulls/7", ())
    guarded = Guarded(Stage("production"), Revision("b" * 40), (offence,), proposal=pull)
    progress = Progress(KEY, places=(Stage("production"),), guarded=(guarded,))
    place.store.commit_pipeline(PipelineChange(KEY, 1, dump_progress(progress)))
    said = run("locked", *where)
    assert said.exit_code == 1
    assert "aaaaaaaaaaaa changed envs/production/values.yaml replicas in production without approval" in said.stdout
    assert "https://git.example.com/shop/pulls/7 puts back what is locked in production" in said.stdout
    agreed = run("approve", "checkout", "aaaaaaaaaaaa", "--stage", "production", "--settings", where[1], "-o", "json")
    assert json.loads(agreed.stdout)["identity"] == "a" * 40
    (told,) = json.loads(run("locked", "checkout", *where, "-o", "json").stdout)["pipelines"]
    assert told["changed_without_approval"][0]["commit"] == "a" * 40
    assert told["pull_requests"] == [{"place": "production", "number": 7, "url": pull.url}]
    assert told["stages"][0]["fields"] == [{"file": "envs/production/values.yaml", "field": "replicas"}]


def test_with_state_in_a_cluster_pipelines_are_read_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those of a directory, where one is named; one that cannot be used is told by its name."""
    mine = yaml.safe_load((place.folder / "policies" / "pipeline.yaml").read_text())
    theirs = {**mine, "metadata": {"name": "cart", "namespace": "shop"}}
    asked: list[Any] = []
    listed = [theirs]

    class Server:
        def list(self, _resource: object, namespace: str | None) -> Any:
            asked.append(namespace)
            return SimpleNamespace(items=tuple(listed))

    monkeypatch.setattr("controller.app.connection.connect", lambda _settings: (Server(), "rollguard"))
    (place.folder / "cluster.yaml").write_text("store: {kubernetes: {}}\n")
    settings = load_settings(place.folder / "cluster.yaml", {})
    assert [each.name for each in declared_pipelines(settings, None)] == ["cart"]
    assert [each.name for each in declared_pipelines(settings, place.folder / "policies")] == ["cart", "checkout"]
    assert asked == [None, None]
    listed.append({**mine, "metadata": {"name": "broken", "namespace": "shop"}, "spec": {}})
    with pytest.raises(CommandError, match="shop/broken"):
        declared_pipelines(settings, None)


def test_a_broken_pipeline_is_told_with_file_and_line(place: Place, drift: Drift) -> None:
    """Nothing is compared by half of the declarations."""
    (place.folder / "policies" / "broken.yaml").write_text(
        "kind: PromotionPipeline\napiVersion: rollguard.dev/v1alpha1\n"
    )
    found = drift()
    assert "broken.yaml" in str(found.exception) + found.output
