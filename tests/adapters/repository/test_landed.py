"""What landed on a branch: which commits of its own line change some paths, since when."""

import pytest

from controller.adapters.repository import GitRepository
from controller.adapters.repository import landed as landing
from controller.ports.repository import InvalidReference, RevisionUnknown
from tests.servers.git import FIRST_DATE, GitRemote

PATHS = ("apps/checkout",)


def test_a_merge_is_one_commit_of_the_branch(remote: GitRemote, repository: GitRepository) -> None:
    """A merge counts once, when it was merged; what it brings does not count by itself."""
    first = remote.commit({"apps/checkout/a": "1", "apps/cart/a": "1"}, "First")
    remote.commit({"apps/cart/a": "2"})
    side = remote.commit({"apps/checkout/a": "2"}, branch="side", parents=[remote.head()])
    side = remote.commit({"apps/checkout/a": "3"}, branch="side")
    merged = remote.merge(side, {"apps/checkout/a": "3"}, "Merge side")
    found = repository.landed("main", PATHS, 0.0)
    assert [(each.revision, each.subject) for each in found] == [(first, "First"), (merged, "Merge side")]
    assert len(repository.landed("main", [""], 0.0)) == 3


def test_only_what_is_young_enough(remote: GitRemote, repository: GitRepository) -> None:
    """The commit's own time counts, also where one that stands before it on the branch has a later one."""
    remote.commit({"apps/checkout/a": "1"}, at=FIRST_DATE)
    skewed = remote.commit({"apps/checkout/a": "2"}, at=FIRST_DATE + 7200)
    remote.commit({"apps/checkout/a": "3"}, at=FIRST_DATE + 3600)
    found = repository.landed("main", PATHS, FIRST_DATE + 5400.0)
    assert [each.revision for each in found] == [skewed]


def test_the_newest_are_kept(remote: GitRemote, repository: GitRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more than can be listed, the oldest are left out."""
    monkeypatch.setattr(landing, "MOST_LANDED", 2)
    made = [remote.commit({"apps/checkout/a": str(number)}) for number in range(3)]
    assert [each.revision for each in repository.landed("main", PATHS, 0.0)] == made[1:]


def test_nothing_that_is_no_branch_or_path(remote: GitRemote, repository: GitRepository) -> None:
    """What Git could read as an option, or does not have, is refused."""
    remote.commit({"a": "1"})
    with pytest.raises(InvalidReference):
        repository.landed("--all", PATHS, 0.0)
    with pytest.raises(InvalidReference):
        repository.landed("main", ["../x"], 0.0)
    with pytest.raises(RevisionUnknown):
        repository.landed("live", PATHS, 0.0)
