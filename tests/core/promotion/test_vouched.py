"""Which approvals that something vouches for are news."""

from dataclasses import replace

from controller.core.promotion.progress import Approval, Progress
from controller.core.promotion.vouched import MOST_GIVEN, news
from tests.core.promotion.world import pipeline, version

PIPELINE = pipeline()
KNOWN = Progress(PIPELINE.key, known=(version(1),))


def given(user: str, *groups: str) -> Approval:
    return Approval("production", version(1).identity, user, 1.0, groups)


def test_one_users_words_are_one_with_all_their_groups() -> None:
    """Two objects of one user, however it is written, make one approval; taken in, neither is news."""
    (found,) = news(PIPELINE, KNOWN, [given("ann", "a"), given("Ann", "b", "a")])
    assert (found.user, found.groups) == ("ann", ("a", "b"))
    taken = replace(KNOWN, approvals=(found,))
    assert news(PIPELINE, taken, [given("ann", "a"), given("Ann", "b", "a")]) == ()
    assert news(PIPELINE, taken, [given("ann")]) == ()


def test_a_new_group_is_news() -> None:
    """Who approves again with the group that was missing is heard."""
    taken = replace(KNOWN, approvals=(given("ann", "a"),))
    (found,) = news(PIPELINE, taken, [given("ann", "a"), given("ann", "leads")])
    assert found.groups == ("a", "leads")


def test_more_than_are_kept_come_to_rest() -> None:
    """However many there are, those that were taken in are no news again."""
    many = [given(f"user-{number}") for number in range(MOST_GIVEN + 200)]
    first = news(PIPELINE, KNOWN, many)
    assert len(first) == MOST_GIVEN
    assert news(PIPELINE, replace(KNOWN, approvals=first), many) == ()
