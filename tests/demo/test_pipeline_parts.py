"""The parts of the pipeline's demo: images that carry their behaviour, the files, what is told of how versions move."""

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from controller.core.application import Revision
from controller.core.git import BuiltCommit
from controller.core.policy import SLOPolicy
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.promotion.progress import Passage, Phase, Place, Progress
from controller.core.promotion.version import Version
from controller.demo.images import named_by, running
from controller.demo.load import Answer, Tally
from controller.demo.manifest import Behaviour, ManifestError
from controller.demo.narrator import Mark
from controller.demo.pipeline.board import Row, board
from controller.demo.pipeline.files import POLICY, Reached, pipeline, settings
from controller.demo.pipeline.gitea import Person, find_gitea
from controller.demo.pipeline.moves import Moves
from controller.demo.pipeline.registry import Registry, find_registry, start_registry
from controller.demo.pipeline.shipping import Shipping, main, variables_of
from controller.demo.pipeline.stages import DEV, IMAGE, PIPELINE, PRODUCTION, STAGING, values_of
from controller.demo.pipeline.summary import pull_request_lines, what_to_try
from controller.demo.processes import end
from controller.demo.repository import Clone, git
from controller.demo.shop import MANIFEST, REFUSED, Room, Shop
from controller.demo.watching import Live
from controller.settings import load_settings
from tests.demo.running import Run, until
from tests.demo.test_parts import ANALYSIS
from tests.servers.receiver import Receiver

BEGIN = 1_790_000_000.0
GOOD = Version("1.0.1", tag="v1.0.1")
COMMIT = Revision("a1" * 20)
URL = "http://127.0.0.1:3000/shop/manifests/pulls/1"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    """What hears of pushes."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def registry(tmp_path: Path, hook: Receiver) -> Iterator[Registry]:
    """The demo's registry."""
    child, made = start_registry(find_registry(), tmp_path / "registry", f"{hook.url}/hook", "a token", time.sleep)
    yield made
    end([child])


@pytest.fixture
def shipping(tmp_path: Path, registry: Registry) -> Shipping:
    """A developer's clone of the source, beside the registry."""
    remote = tmp_path / "source.git"
    git(["init", "-q", "--bare", "--initial-branch=main", str(remote)], None)
    clone = Clone(str(remote), tmp_path / "source", "Dana Developer", "dana@example.com")
    return Shipping(clone.folder, "http://127.0.0.1:3000/shop/checkout.git", registry.address)


def test_what_an_image_does_lies_in_the_image(shipping: Shipping, hook: Receiver) -> None:
    """A shipped version is committed, pushed and told of; what runs it reads its behaviour from the registry."""
    shipped = shipping.ship("1.0.2", "Fresher prices", variables_of(45.0))
    assert running(values_of(STAGING, shipping.registry, "v1.0.2")) == Behaviour("1.0.2", 0.001, 0, 45.0)
    assert git(["log", "-1", "--format=%H %an %s"], shipping.clone).strip() == (
        f"{shipped.revision} Dana Developer Fresher prices"
    )
    until(lambda: "v1.0.2" in tags(hook), "the notification")
    assert {each.headers["authorization"] for each in hook.requests} == {"Bearer a token"}


def tags(hook: Receiver) -> list[str]:
    """The tags that the registry told of."""
    events = [event for each in list(hook.requests) for event in json.loads(each.body)["events"]]
    return [event["target"]["tag"] for event in events if "tag" in event["target"]]


def test_a_version_of_ones_own_is_one_command(
    shipping: Shipping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the demo suggests to type ships a version; one that cannot be shipped is said in a sentence."""
    shipping.save(tmp_path)
    monkeypatch.setattr("sys.argv", ["shipping", str(tmp_path), "1.0.3", "--prices-per-second", "7"])
    main()
    assert f"{IMAGE}:v1.0.3 is in the registry, built from " in capsys.readouterr().out
    assert running(values_of(DEV, shipping.registry, "v1.0.3")).at_most == 7
    shutil.rmtree(tmp_path / "source.git")
    monkeypatch.setattr("sys.argv", ["shipping", str(tmp_path), "1.0.4"])
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err.startswith("git push failed: ")


def test_an_image_that_cannot_be_pulled_changes_nothing(shipping: Shipping, tmp_path: Path) -> None:
    """The shop says why it refuses the values, and keeps serving what it did."""
    shipping.ship("1.0.0", "Begin", variables_of())
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Shop(folder, running)
    for tag in ("v1.0.0", "v9.9.9"):
        (folder / "next").write_text(values_of(DEV, shipping.registry, tag))
        (folder / "next").replace(folder / MANIFEST)
        shop.take_manifest()
    assert shop.serves == Behaviour("1.0.0", 0.001, 0)
    assert "shop/checkout:v9.9.9 cannot be pulled: the registry says 404" in (folder / REFUSED).read_text()


@pytest.mark.parametrize("text", ["[", "", "a: 1", "image: {tag: v1}"])
def test_values_that_name_no_image_are_refused(text: str) -> None:
    """People edit this file."""
    with pytest.raises(ManifestError, match="name no image"):
        named_by(text)


def test_more_than_it_can_answer_fails() -> None:
    """A second's worth at once, then as many as come in: 30 a second are all answered by what can do 45, of 90 the half."""
    for rate, answered in ((30, 300), (90, 494)):
        room = Room()
        assert sum(room.take(45.0, number / rate) for number in range(10 * rate)) == answered


def test_the_files_of_the_demo_are_what_rollguard_reads(tmp_path: Path) -> None:
    """Policy, pipeline and settings validate, in a folder with an awkward name too; the policy guards every stage."""
    folder = tmp_path / 'it\'s "mine" ☺'
    folder.mkdir()
    for name in ("secret", "registry-token", "webhook-secret", "rollguard-token"):
        (folder / name).write_text("x" * 32)
    root = "http://127.0.0.1:3000"
    at = Reached(
        folder=folder,
        listen="127.0.0.1:8080",
        registry="127.0.0.1:5000",
        gitea=root,
        manifests=f"{root}/shop/manifests.git",
        source=f"{root}/shop/checkout.git",
        prometheus="http://127.0.0.1:9090",
        phone="http://127.0.0.1:9/alerts",
    )
    (folder / "rollguard.yaml").write_text(settings(at))
    loaded = load_settings(folder / "rollguard.yaml", {})
    loaded.check_files()
    yaml = YAML(typ="safe")
    selected = SLOPolicy.model_validate(yaml.load(POLICY)).spec.application.selector
    declared = PromotionPipeline.model_validate(yaml.load(pipeline("127.0.0.1:5000")))
    assert selected is not None
    for stage, application in zip(declared.spec.stages, loaded.applications, strict=True):
        assert stage.application is not None
        assert stage.application.name == application.name
        assert selected.match_labels.items() <= application.labels.items()


def passage(stage: str, phase: Phase, **changes: object) -> Passage:
    """A good version's way into a stage."""
    made = Passage(Place(stage), GOOD, BEGIN + 10, phase, BEGIN + 11, previous="v1.0.0")
    return made.to(phase, BEGIN + 11, **changes)  # type: ignore[arg-type]


def told(moves: Moves, *passages: Passage, now: float = 12.0) -> list[tuple[float, Mark, str]]:
    """What is new."""
    progress = Progress(PIPELINE, places=tuple(each.place for each in passages), passages=passages)
    return [(line.at, line.mark, line.text) for line in moves.notice(progress, BEGIN + now)]


def test_each_move_is_told_once() -> None:
    """A commit with its delay, a pull request with its address, who it waits for, its merge with who approved."""
    moves = Moves(BEGIN, {"1.0.1": BEGIN + 10.5})
    built = (BuiltCommit(COMMIT, Revision("b2" * 20), "c3" * 20, ""),)
    assert told(moves, passage("dev", Phase.DEPLOYING, landed=(COMMIT,))) == []  # it was there before
    dev = passage("dev", Phase.DEPLOYING, landed=(COMMIT,), commits=built)
    assert told(moves, dev) == [
        (11.0, Mark.COMMIT, "Rollguard commits a1a1a1a: dev is to run 1.0.1, 0.5 s after its tag was pushed")
    ]
    assert told(moves, passage("dev", Phase.PASSED, landed=(COMMIT,), commits=built)) == []
    pull = {"commits": built, "pull_number": 1, "pull_url": URL, "by_pull_request": True}
    waits = passage("production", Phase.PROPOSED, sentence="1 approval is missing", **pull)
    assert told(moves, waits) == [
        (12.0, Mark.PULL, f"pull request 1 brings 1.0.1 to production in place of v1.0.0: {URL}"),
        (12.0, Mark.NOTE, "production waits for people: 1 approval is missing"),
    ]
    assert told(moves, waits, now=13.0) == []
    merged = passage("production", Phase.JUDGING, landed=(COMMIT,), approved_by=("lee",), **pull)
    assert told(moves, merged, now=14.0) == [
        (14.0, Mark.MERGED, "Rollguard merges pull request 1, approved by lee: production is to run 1.0.1")
    ]
    assert moves.landed == {("dev", "1.0.1"): BEGIN + 11, ("production", "1.0.1"): BEGIN + 14}


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.TAKEN_BACK])
def test_a_version_that_goes_no_further_is_told_with_why(phase: Phase) -> None:
    """Stopped by the guard, or taken back by people."""
    (line,) = told(Moves(BEGIN, {}), passage("staging", phase, sentence="83 % against 97 %"))
    assert line[:2] == (11.0, Mark.STOPPED)
    assert line[2].startswith("1.0.1 ")
    assert line[2].endswith("no further: 83 % against 97 %") or "no further in staging" in line[2]


def test_the_block_shows_every_stage() -> None:
    """What each runs, how its customers fare, and its evidence or what it waits for, in a narrow terminal too."""
    tally = Tally()
    for number in range(100):
        tally.count(Answer(100 + number / 10, "1.0.1", 200 if number % 5 else 500, 0.01))
    rows = [
        Row("dev", "1.0.1", passage("dev", Phase.PASSED, sentence="passed early"), None, tally),
        Row("staging", "1.0.1", None, Live("Analysing", "a1", ANALYSIS), tally),
        Row("production", "", None, None, Tally()),
    ]
    for width in (60, 110):
        console = Console(file=io.StringIO(), width=width, record=True)
        console.print(board(rows, "waiting for proof", width))
        text = console.export_text()
        assert {len(line) for line in text.splitlines()} == {width}
    assert "1.0.1 Passed: passed early" in text
    assert "breached? ln E  3.5 ━" in text
    assert "20.0 %" in text
    assert "production  –" in text
    assert "waiting for proof" in text


def test_gitea_comes_from_path_else_the_newest_that_was_built(tmp_path: Path) -> None:
    """PATH first, then the cache; the files that lie beside a built one are found."""
    for number, place in enumerate(("path", "cache/cluster/gitea/old/bin", "cache/cluster/gitea/new/bin")):
        (tmp_path / place).mkdir(parents=True)
        program = tmp_path / place / "gitea"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        os.utime(program, (number, number))
    static = tmp_path / "cache/cluster/gitea/new/share/static"
    static.mkdir(parents=True)
    cache = {"ROLLGUARD_CACHE": str(tmp_path / "cache")}
    on_path = find_gitea({"PATH": str(tmp_path / "path"), **cache})
    assert (on_path.path, on_path.static) == (str(tmp_path / "path" / "gitea"), None)
    built = find_gitea({"PATH": str(tmp_path), **cache})
    assert (built.path, built.static) == (str(tmp_path / "cache/cluster/gitea/new/bin/gitea"), static)


@pytest.mark.parametrize("missing", ["gitea", "docker-registry"])
def test_a_server_that_is_missing_is_said_with_the_remedy(
    run_demo: Callable[..., Run], tmp_path: Path, missing: str
) -> None:
    """Neither on PATH nor in the cache: one sentence, exit 3, nothing made."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "")
    for name in {"prometheus", "gitea", "docker-registry"} - {missing}:
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    variables = {"PATH": str(tmp_path / "bin"), "ROLLGUARD_CACHE": str(tmp_path / "cache")}
    run = run_demo("--pipeline", environment=variables)
    assert run.wait() == 3
    (line,) = run.complained().splitlines()
    assert f"{missing} is neither on PATH nor in".lower() in line.lower()
    assert "make demo-pipeline" in line
    assert run.said() == ""
    assert run.nothing_left()


def test_what_to_try_names_people_and_pages(tmp_path: Path) -> None:
    """Logins, addresses and commands, in a folder with a blank in it."""
    text = what_to_try(
        tmp_path / "my demo",
        ["rollguard"],
        "python3",
        gitea="http://g",
        prometheus="http://p",
        controller="c",
        people=[Person("lee", "Lee Lead", "lee-1234", "")],
    )
    assert f"python3 -m controller.demo.pipeline.shipping '{tmp_path}/my demo' 1.0.3" in text
    assert "http://g/shop/manifests/pulls\n  lee        lee-1234           Lee Lead" in text


def test_pull_requests_are_listed_as_they_ended() -> None:
    """Merged, closed or open, with their pages."""
    found = [
        {"number": 1, "title": "Promote", "merged": True, "state": "closed", "html_url": URL},
        {"number": 2, "title": "Promote", "merged": False, "state": "open", "html_url": URL},
    ]
    assert pull_request_lines(found) == [f"  #1 Promote (merged)  {URL}", f"  #2 Promote (open)  {URL}"]


def test_stages_are_apart() -> None:
    """No stage's files or names are another's."""
    stages = (DEV, STAGING, PRODUCTION)
    assert len({each.values for each in stages}) == len({each.application for each in stages}) == len(stages)
