"""What holds of a restore whatever the history was, by random histories on real Git."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.adapters.repository import GitRepository
from controller.core.application import Revision
from controller.core.git import CommitIdentity, PushResult, RestoreRequest
from controller.core.policy import Scope
from tests.servers.git import GitRemote

INSIDE = ["app/a.yaml", "app/b.yaml", "app/deep/c.yaml"]
OUTSIDE = ["other/a.yaml", "app.yaml", "top"]
TEXTS = st.one_of(
    st.none(),
    st.builds(
        lambda top, end: f"top: {top}\n" + "# same\n" * 12 + f"end: {end}\n", st.integers(0, 3), st.integers(0, 3)
    ),
)
CHANGES = st.dictionaries(st.sampled_from(INSIDE + OUTSIDE), TEXTS, min_size=1, max_size=4)
HISTORIES = st.tuples(
    st.dictionaries(st.sampled_from(INSIDE + OUTSIDE), TEXTS, min_size=1, max_size=6),
    st.lists(CHANGES, min_size=1, max_size=3),
    st.lists(CHANGES, min_size=0, max_size=2),
)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Run:
    """A history: the target, the bad commits, then later ones; and a repository on it."""

    def __init__(self, folder: Path, history: Any) -> None:
        first, bad, later = history
        self.remote = GitRemote(folder / "remote.git")
        self.target = Revision(self.remote.commit({"keep": "x"} | first))
        for change in bad:
            self.live = Revision(self.remote.commit(change))
        self.later = [self.remote.commit(change) for change in later]
        self.repository = GitRepository(self.remote.url, mirror_root=folder / "mirrors")

    def files(self, revision: str | None = None) -> dict[str, bytes]:
        return self.remote.files(revision)

    def request(self, scope: Scope = Scope.APPLICATION_PATHS) -> RestoreRequest:
        return RestoreRequest("main", ("app",), self.target, self.live, scope)

    def restore(self, scope: Scope = Scope.APPLICATION_PATHS) -> bool:
        """Inspect, build and push; False where the merge conflicts."""
        facts = self.repository.inspect(self.request(scope))
        if facts.tree is None:
            assert facts.conflicts
            assert facts.plain_tree
            return False
        commit = self.repository.build(
            parent=facts.head, tree=facts.tree, message="Roll back\n", identity=CommitIdentity(), at=1_800_000_000
        )
        assert self.repository.push(commit, "main", facts.head).result is PushResult.PUSHED
        return True


def inside(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: body for path, body in files.items() if path.startswith("app/")}


def outside(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: body for path, body in files.items() if not path.startswith("app/")}


@FEW
@given(HISTORIES)
def test_a_restore_changes_nothing_outside_and_loses_no_later_change(history: Any) -> None:
    """Outside stays as it is; inside, what only a later commit changed stays, what only the suspects changed goes.

    With nothing later inside, the paths are exactly the target's. Pushed, it is recognised as done.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), history)
        target, live, head = run.files(run.target), run.files(run.live), run.files()
        if not run.restore():
            assert inside(head) != inside(live)
            return
        after = run.files()
        assert outside(after) == outside(head)
        if inside(head) == inside(live):
            assert inside(after) == inside(target)
        for path in {*inside(target), *inside(live), *inside(head)}:
            if target.get(path) == live.get(path):
                assert after.get(path) == head.get(path), path
            elif head.get(path) == live.get(path):
                assert after.get(path) == target.get(path), path
        assert run.repository.inspect(run.request()).already_restored


@FEW
@given(HISTORIES)
def test_reverting_whole_commits_gives_the_paths_of_the_target(history: Any) -> None:
    """On a straight line without later commits, each suspect reverted gives the target's paths, or a conflict."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder), (history[0], history[1], []))
        if run.restore(Scope.COMMITS):
            assert inside(run.files()) == inside(run.files(run.target))
            assert run.repository.inspect(run.request(Scope.COMMITS)).already_restored
