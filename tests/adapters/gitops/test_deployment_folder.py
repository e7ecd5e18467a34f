"""What plain Git writes down: it comes back as it was, and anything else counts as nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.gitops.deployment_attempt import Attempt, Why, decode, encode, pause_after, untold, why_run
from controller.adapters.gitops.deployment_folder import DeploymentFolder, FolderBusy
from controller.core.application import Content, Revision
from controller.ports.gitops import SyncPhase

A = Content((("app", "a" * 40),))
B = Content((("app", "b" * 40),))
NOTHING = Content((("app", ""),))

attempts = st.builds(
    Attempt,
    revision=st.text("0123456789abcdef", min_size=40, max_size=40).map(Revision),
    content=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=4).map(tuple).map(Content),
    started_at=st.floats(0, 1e11),
    phase=st.sampled_from(SyncPhase),
    ended_at=st.floats(0, 1e11),
    message=st.text(max_size=100),
    told=st.none() | st.sampled_from(SyncPhase),
    running=st.text(max_size=32),
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DeploymentFolder]:
    """An open folder."""
    folder = DeploymentFolder(tmp_path)
    folder.open()
    yield folder
    folder.close()


def attempt(phase: SyncPhase, *, told: SyncPhase | None = None, content: Content = A) -> Attempt:
    return Attempt(Revision("1" * 40), content, 100.0, phase, told=told)


@given(attempts)
def test_an_attempt_comes_back_as_it_was(written: Attempt) -> None:
    """Whatever is written down is read back equal."""
    assert decode(encode(written).encode()) == written


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_anything_else_is_refused(data: bytes) -> None:
    """What is not such a record raises one of the errors that are handled."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode(data)


def test_a_record_of_another_shape_is_put_aside(tmp_path: Path, folder: DeploymentFolder) -> None:
    """A file that cannot be read counts as none, is kept for people, and a new one can be written."""
    (tmp_path / "attempt.json").write_text('{"version": 1, "revision": 5}')
    assert folder.load() is None
    assert (tmp_path / "attempt.unreadable").exists()
    folder.save(attempt(SyncPhase.STARTED))
    assert folder.load() == attempt(SyncPhase.STARTED)


def test_a_write_that_fails_leaves_the_last_attempt(
    folder: DeploymentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle of a write costs the new record, never the old one."""
    folder.save(attempt(SyncPhase.HEALTHY))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.save(attempt(SyncPhase.FAILED))
    assert folder.load() == attempt(SyncPhase.HEALTHY)


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second reconciler in the same folder is told so, until the first has let go."""
    first, second = DeploymentFolder(tmp_path), DeploymentFolder(tmp_path)
    first.open()
    with pytest.raises(FolderBusy, match="another process deploys"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_only_the_current_export_is_kept(tmp_path: Path, folder: DeploymentFolder) -> None:
    """Old exports go, and two of one revision are two folders."""
    old, new = (folder.new_export(Revision("1" * 40)) for _ in range(2))
    (old / "manifest").write_text("x")
    folder.keep_only(new)
    assert list((tmp_path / "exports").iterdir()) == [new]


@pytest.mark.parametrize(
    ("before", "content", "due", "why"),
    [
        (None, A, True, Why.CHANGED),
        (None, None, True, None),
        (None, NOTHING, True, None),
        (attempt(SyncPhase.HEALTHY), A, False, None),
        (attempt(SyncPhase.HEALTHY), A, True, Why.DRIFT),
        (attempt(SyncPhase.HEALTHY), None, True, Why.DRIFT),
        (attempt(SyncPhase.HEALTHY), B, False, Why.CHANGED),
        (attempt(SyncPhase.HEALTHY), NOTHING, True, None),
        (attempt(SyncPhase.FAILED), A, False, None),
        (attempt(SyncPhase.FAILED), A, True, Why.RETRY),
        (attempt(SyncPhase.FAILED), B, False, Why.CHANGED),
        (attempt(SyncPhase.STARTED), A, False, Why.INTERRUPTED),
        (attempt(SyncPhase.STARTED), None, False, Why.INTERRUPTED),
        (attempt(SyncPhase.STARTED), NOTHING, False, None),
    ],
)
def test_when_the_command_runs(before: Attempt | None, content: Content | None, due: bool, why: Why | None) -> None:
    """It runs for other content, after an interruption, and when its time has come; never for nothing at all."""
    assert why_run(before, content, due=due) is why


@pytest.mark.parametrize(
    ("phase", "told", "left"),
    [
        ("Started", None, ["Started"]),
        ("Started", "Started", []),
        ("Healthy", None, ["Started", "Healthy"]),
        ("Failed", "Started", ["Failed"]),
        ("Failed", "Failed", []),
        ("Healthy", "Failed", ["Healthy"]),
        ("Healthy", "Healthy", []),
    ],
)
def test_what_is_still_to_be_told(phase: str, told: str | None, left: list[str]) -> None:
    """Each phase is told once, in order, and a retry that succeeds is told after its failure."""
    assert list(untold(attempt(SyncPhase(phase), told=SyncPhase(told) if told else None))) == left


@given(st.integers(1, 10_000), st.floats(0.01, 60), st.floats(60, 600))
def test_pauses_grow_and_are_bounded(failures: int, least: float, most: float) -> None:
    """However often it failed, the pause lies between the shortest and the longest."""
    assert 0.8 * least <= pause_after(failures, least, most) <= most
