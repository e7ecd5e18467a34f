"""Commands about pipelines: what they say of them, and what they leave in the store for the controller."""

import json
from pathlib import Path

import pytest

from controller.adapters.store import SqliteStore
from controller.core.application import ApplicationKey, Revision
from controller.core.promotion.progress import Freeze, Passage, Phase, Place, Progress, StoppedVersion, dump_progress
from controller.core.promotion.version import Version
from controller.ports.promotion_inbox import (
    ApproveCommand,
    FreezeCommand,
    PromoteCommand,
    ThawCommand,
    load_promotion_command,
)
from controller.ports.promotions import PipelineChange
from tests.cli.conftest import Run

KEY = ApplicationKey("shop", "checkout")
OLD = Version("1.0.0", "v1.0.0", "sha256:" + "a" * 64, "registry.example.com/shop/checkout")
NEW = Version("1.1.0", "v1.1.0", "sha256:" + "b" * 64, "registry.example.com/shop/checkout")
DEV, PRODUCTION = Place("dev"), Place("production")


@pytest.fixture
def settings(tmp_path: Path) -> tuple[str, str]:
    """Settings of a place with one pipeline."""
    file = tmp_path / "promotions.yaml"
    file.write_text("applications: []\nstore: {sqlite: promotions/state.db}\n")
    progress = Progress(
        KEY,
        places=(DEV, PRODUCTION),
        known=(NEW, OLD),
        passages=(
            Passage(DEV, NEW, 0.0, Phase.PASSED, 60.0, "Healthy", landed=(Revision("c" * 40),)),
            Passage(
                PRODUCTION, NEW, 0.0, Phase.PROPOSED, 90.0, "pull request 7: 1 approval is missing", pull_number=7
            ),
        ),
        stopped=(StoppedVersion(OLD.identity, OLD.name, DEV, 5.0, "availability 93 % against 99.5 %"),),
        freezes=(Freeze("dora", 1.0, "incident \x1b[31m7"),),
    )
    store = SqliteStore(tmp_path / "promotions" / "state.db")
    store.commit_pipeline(PipelineChange(KEY, 0, dump_progress(progress)))
    store.close()
    return "--settings", str(file)


def left(tmp_path: Path) -> object:
    """What the command left in the inbox."""
    store = SqliteStore(tmp_path / "promotions" / "state.db", create=False)
    (entry,) = store.inbox()
    store.close()
    assert (entry.kind, entry.application) == ("promotion", KEY)
    return load_promotion_command(entry.body)


def test_pipelines_tells_where_each_version_is(run: Run, settings: tuple[str, str]) -> None:
    """Stage, version, phase and what it waits for; a stop and a freeze; no control character of anybody's."""
    said = run("pipelines", *settings)
    assert said.exit_code == 0
    assert "shop/checkout, newest version 1.1.0" in said.stdout
    assert "all stages frozen by dora: incident" in said.stdout
    assert "1.0.0 was stopped in dev: availability 93 % against 99.5 %" in said.stdout
    assert "pull request 7: 1 approval is missing" in said.stdout
    assert "\x1b" not in said.stdout


def test_pipelines_as_json_is_complete(run: Run, settings: tuple[str, str]) -> None:
    """Programs find every stage, commit and reason."""
    (found,) = json.loads(run("pipelines", "checkout", "-o", "json", *settings).stdout)["pipelines"]
    assert [each["phase"] for each in found["stages"]] == ["Passed", "Proposed"]
    assert found["stages"][0]["commits"] == ["c" * 40]
    assert found["stopped"][0]["version"] == "1.0.0"


def test_promote_leaves_a_request(run: Run, settings: tuple[str, str], tmp_path: Path) -> None:
    """The version is found by its name, and its identity is what is written down."""
    done = run("promote", "checkout", "1.0.0", "--to", "production", *settings)
    assert done.stdout == (
        "asked: 1.0.0 to production of shop/checkout; follow it with: rollguard pipelines shop/checkout\n"
    )
    asked = left(tmp_path)
    assert isinstance(asked, PromoteCommand)
    assert (asked.stage, asked.version, asked.bypass_reason) == ("production", OLD.identity, "")
    assert asked.by


def test_a_bypass_carries_its_reason(run: Run, settings: tuple[str, str], tmp_path: Path) -> None:
    """Without a reason it is refused; with one it is written down."""
    arguments = ("promote", "checkout", "v1.1.0", "--to", "production", "--bypass")
    assert run(*arguments, *settings).exit_code == 2
    run(*arguments, "--reason", "login is broken", *settings)
    asked = left(tmp_path)
    assert isinstance(asked, PromoteCommand)
    assert asked.bypass_reason == "login is broken"


def test_approve_freeze_and_thaw_leave_requests(run: Run, settings: tuple[str, str], tmp_path: Path) -> None:
    """Each is one entry that says who, what and where."""
    for arguments, kind in (
        (("approve", "checkout", "1.1.0", "--stage", "production"), ApproveCommand),
        (("freeze", "checkout", "--stage", "dev", "--for", "2h", "--reason", "incident"), FreezeCommand),
        (("freeze", "--all", "--reason", "incident"), FreezeCommand),
        (("thaw", "checkout"), ThawCommand),
    ):
        assert run(*arguments, *settings).exit_code == 0
        assert isinstance(left(tmp_path), kind)
        store = SqliteStore(tmp_path / "promotions" / "state.db", create=False)
        store.discard([each.id for each in store.inbox()])
        store.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("promote", "chekout", "1.1.0", "--to", "dev"), "there is no pipeline 'chekout': did you mean checkout?"),
        (("promote", "checkout", "1.1.0", "--to", "prod"), "there is no stage 'prod' in shop/checkout"),
        (("promote", "checkout", "9.9.9", "--to", "dev"), "there is no version '9.9.9' in shop/checkout"),
        (("freeze", "checkout"), 'say why: --reason "…"'),
        (("freeze", "--reason", "x"), "name one pipeline, or --all"),
        (("thaw", "checkout", "--all"), "name one pipeline, or --all"),
    ],
)
def test_a_typing_error_is_told(run: Run, settings: tuple[str, str], arguments: tuple[str, ...], said: str) -> None:
    """Nothing is left in the store for what does not exist, and the nearest name is offered."""
    done = run(*arguments, *settings)
    assert done.exit_code == 2
    assert said in done.stderr
