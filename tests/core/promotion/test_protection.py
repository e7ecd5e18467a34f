"""Locked configuration: what is locked, and what becomes of changes, whatever the history."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controller.core.application import Revision
from controller.core.promotion.fields import FieldChange, Scalar
from controller.core.promotion.locks import ItemChange, Lock, LockedItem, OnLockedChange, locked_changes, locked_files
from controller.core.promotion.protection import MAY, LockedCommit, Protection, Standing, mark_of, protect

FILE = "envs/production/values.yaml"
ITEMS = tuple(LockedItem(FILE, path=name) for name in ("replicas", "resources.limits.cpu", "ingress.host"))


def changed(path: str, document: str = "") -> FieldChange:
    """A field that differs."""
    return FieldChange(document, path, Scalar("1"), Scalar("2"))


@pytest.mark.parametrize(
    ("fields", "path", "document", "locked"),
    [
        (["replicas"], "replicas", "", True),
        (["resources.limits"], "resources.limits.cpu", "", True),
        (["resources.limits.cpu"], "resources", "", True),
        (["resources.limits"], "resources.requests.cpu", "", False),
        (["replicas"], "replicasMax", "", False),
        (["containers[name=app].image"], "containers[name=app].image", "", True),
        (["containers[name=app].image"], "containers[name=sidecar].image", "", False),
        (["containers[0].image"], "containers[name=sidecar].image", "", True),
        (["containers[0].image"], "containers[1].image", "", False),
        (["rules[host=a].weight"], "rules[name=b].weight", "", True),
        (["Deployment/app:spec.replicas"], "spec.replicas", "Deployment/app", True),
        (["Deployment/app:spec.replicas"], "spec.replicas", "Deployment/shop/app", True),
        (["Deployment/shop/app:spec.replicas"], "spec.replicas", "Deployment/other/app", False),
        (["Deployment/app:spec.replicas"], "spec.replicas", "Deployment/other", False),
        (["Deployment/app:spec.replicas"], "spec.replicas", "#2", True),
        (["spec.replicas"], "spec.replicas", "Deployment/other", True),
    ],
)
def test_what_may_be_the_locked_field_is_locked(fields: list[str], path: str, document: str, *, locked: bool) -> None:
    """What is below, above, or cannot be told apart counts; what is certainly another field does not."""
    lock = Lock.model_validate({"file": FILE, "fields": fields})
    assert bool(locked_changes([lock], FILE, [changed(path, document)])) is locked
    assert locked_changes([lock], "envs/dev/values.yaml", [changed(path, document)]) == ()


@pytest.mark.parametrize(
    ("glob", "file", "locked"),
    [
        ("envs/production/**", "envs/production/a/b.yaml", True),
        ("envs/production", "envs/production/a.yaml", True),
        ("**/secrets.yaml", "secrets.yaml", True),
        ("envs/*/route.yaml", "envs/production/route.yaml", True),
        ("envs/production/**", "envs/production-eu/a.yaml", False),
    ],
)
def test_paths_lock_whole_files(glob: str, file: str, *, locked: bool) -> None:
    """By globs, as policies protect paths."""
    assert bool(locked_files([Lock(paths=(glob,))], [file])) is locked


@pytest.mark.parametrize(
    "lock",
    [{}, {"file": FILE}, {"fields": ["a"]}, {"paths": ["a"], "file": FILE, "fields": ["a"]}, {"paths": ["../x"]}],
)
def test_a_lock_is_files_or_fields(lock: dict[str, Any]) -> None:
    """Anything else is refused when it is declared."""
    with pytest.raises(ValidationError):
        Lock.model_validate(lock)


class Branch:
    """A branch of three locked items, and who has changed them."""

    def __init__(self) -> None:
        self.held = dict.fromkeys(ITEMS, Scalar("0"))
        self.commits: list[LockedCommit] = []
        self.count = 0

    def commit(self, changes: dict[LockedItem, str], standing: Standing) -> None:
        """Somebody commits."""
        parent, self.count = Revision(f"{self.count:040x}"), self.count + 1
        made = tuple(
            ItemChange(item, self.held[item], Scalar(value))
            for item, value in changes.items()
            if self.held[item].text != value
        )
        self.held |= {each.item: each.new for each in made if each.new is not None}
        self.commits.append(
            LockedCommit(
                Revision(f"{self.count:040x}"), parent, "dora", "Change", made, standing, "nobody approved it"
            )
        )

    def decide(self, action: OnLockedChange, before: Sequence[str] = ()) -> Protection:
        """What is to be done about all of them."""
        return protect(self.commits, self.held, action, before)

    def put_back(self, protection: Protection) -> list[str]:
        """Do it; returns the marks."""
        marks = [mark_of(each.item, self.held[each.item]) for each in protection.put_back]
        self.commit({each.item: each.value.text for each in protection.put_back if each.value}, Standing.OURS)
        return marks


CHANGES = st.dictionaries(st.sampled_from(ITEMS), st.sampled_from("0123"), min_size=1)
HISTORIES = st.lists(st.tuples(CHANGES, st.sampled_from(Standing)), max_size=8)


def branch_of(history: list[tuple[dict[LockedItem, str], Standing]]) -> Branch:
    """A branch with a history."""
    branch = Branch()
    for changes, standing in history:
        branch.commit(changes, standing)
    return branch


@given(HISTORIES)
def test_who_may_is_left_alone(history: list[tuple[dict[LockedItem, str], Standing]]) -> None:
    """A history of approved and own commits is no offence, whatever is in it."""
    branch = branch_of([(changes, Standing.OURS if each in MAY else Standing.APPROVED) for changes, each in history])
    assert branch.decide(OnLockedChange.RESTORE) == Protection()


@given(HISTORIES)
def test_alert_puts_nothing_back(history: list[tuple[dict[LockedItem, str], Standing]]) -> None:
    """The same offences are told as with Restore."""
    branch = branch_of(history)
    told, restored = branch.decide(OnLockedChange.ALERT), branch.decide(OnLockedChange.RESTORE)
    assert told.put_back == ()
    assert [each.commit for each in told.offences] == [each.commit for each in restored.offences]


@given(HISTORIES)
def test_what_is_put_back_is_what_was_there_with_approval(
    history: list[tuple[dict[LockedItem, str], Standing]],
) -> None:
    """To the newest value that may be there, of items that somebody changed without approval last, and without doubt."""
    branch = branch_of(history)
    accepted, last, doubtful = dict.fromkeys(ITEMS, "0"), dict[LockedItem, Standing](), set[LockedItem]()
    for commit in branch.commits:
        for change in commit.changes:
            last[change.item] = commit.standing
            if commit.standing in MAY:
                accepted[change.item] = change.new.text if change.new else ""
                doubtful.discard(change.item)
            elif commit.standing is Standing.UNKNOWN:
                doubtful.add(change.item)
    for each in branch.decide(OnLockedChange.RESTORE).put_back:
        assert each.value == Scalar(accepted[each.item])
        assert last[each.item] is Standing.UNAPPROVED
        assert each.item not in doubtful


@given(HISTORIES)
def test_after_one_commit_nothing_is_left_to_do(history: list[tuple[dict[LockedItem, str], Standing]]) -> None:
    """Without doubts, every item then holds what it may hold; it never goes round in circles."""
    branch = branch_of(
        [(changes, Standing.UNAPPROVED if each is Standing.UNKNOWN else each) for changes, each in history]
    )
    branch.put_back(branch.decide(OnLockedChange.RESTORE))
    assert branch.decide(OnLockedChange.RESTORE) == Protection()


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_same_value_is_put_back_once(
    history: list[tuple[dict[LockedItem, str], Standing]], chance: random.Random
) -> None:
    """Whoever lands again what was put back is told of, and left alone."""
    branch = branch_of([(changes, Standing.UNAPPROVED) for changes, _ in history])
    first = branch.decide(OnLockedChange.RESTORE)
    again = {each.item: branch.held[each.item].text for each in first.put_back}
    marks = branch.put_back(first)
    if not again:
        return
    item = chance.choice(sorted(again))
    branch.commit({item: again[item]}, Standing.UNAPPROVED)
    second = branch.decide(OnLockedChange.RESTORE, marks)
    assert second.put_back == ()
    assert [each.again for each in second.offences] == [True]


@given(HISTORIES)
def test_a_doubt_is_looked_at_again(history: list[tuple[dict[LockedItem, str], Standing]]) -> None:
    """While the forge does not answer nothing is put back of such a commit, and the look is not over."""
    branch = branch_of([(changes, Standing.UNKNOWN) for changes, _ in history])
    found = branch.decide(OnLockedChange.RESTORE)
    assert found.put_back == ()
    assert found.settled is not bool(found.offences)


def test_what_was_taken_back_is_no_offence() -> None:
    """A person's own revert ends it."""
    branch = Branch()
    branch.commit({ITEMS[0]: "5"}, Standing.UNAPPROVED)
    branch.commit({ITEMS[0]: "0"}, Standing.UNAPPROVED)
    assert branch.decide(OnLockedChange.RESTORE) == Protection()


def test_an_offence_that_was_told_is_no_new_ground() -> None:
    """Who changes it again is measured by what was there with approval; who takes it back has done nothing wrong."""
    branch = Branch()
    branch.commit({ITEMS[0]: "5"}, Standing.UNAPPROVED)
    (told,) = branch.decide(OnLockedChange.ALERT).offences
    branch.commits.clear()
    branch.commit({ITEMS[0]: "6"}, Standing.UNAPPROVED)
    (back,) = protect(branch.commits, branch.held, OnLockedChange.RESTORE, (), told.accepted).put_back
    assert back.value == Scalar("0")
    branch.commit({ITEMS[0]: "0"}, Standing.UNAPPROVED)
    assert protect(branch.commits, branch.held, OnLockedChange.RESTORE, (), told.accepted) == Protection()


def test_what_people_must_put_back_is_told_alone() -> None:
    """A file that cannot be compared, or a branch that was rewritten."""
    change = ItemChange(LockedItem(FILE), Scalar("a"), Scalar("b"))
    commit = LockedCommit(
        Revision("b" * 40), Revision("a" * 40), "dora", "x", (change,), Standing.UNAPPROVED, restorable=False
    )
    found = protect([commit], {change.item: change.new}, OnLockedChange.RESTORE, ())
    assert (len(found.offences), found.put_back, found.settled) == (1, (), True)
