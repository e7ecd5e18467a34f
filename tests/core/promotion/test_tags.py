"""Which version is the newest, what must be asked first, and what a tag that moves does."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.promotion.semver import read_semver
from controller.core.promotion.tag_pattern import tag_pattern
from controller.core.promotion.tags import (
    MOST_ASKED,
    MOST_DATED,
    Pin,
    Reason,
    TagMoved,
    TagOrder,
    TagRule,
    learned,
    stand,
)

A, B, C = ("sha256:" + each * 64 for each in "abc")
YEAR = 365 * 86_400.0


def rule(order: TagOrder, pattern: str = r"^v(?P<version>\d.*)$") -> TagRule:
    return TagRule(tag_pattern(pattern), order)


def pin(digest: str = A, created: float | None = None, *, dated: bool = False) -> Pin:
    return Pin(digest, digest, dated or created is not None, created)


def test_precedence_is_that_of_the_standard() -> None:
    """The standard's own examples, in whatever order they come."""
    rising = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    rising += ["1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"]
    for some in permutations(rising[:6]):
        assert sorted(some, key=lambda each: read_semver(each) or pytest.fail(each)) == rising[:6]
    assert sorted(set(rising), key=lambda each: read_semver(each) or pytest.fail(each)) == rising


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1", (1, 0, 0)), ("v1.4", (1, 4, 0)), ("2027.01.05", (2027, 1, 5)), ("1.2.3_b7", (1, 2, 3))],
)
def test_versions_are_read_with_lenience(text: str, numbers: tuple[int, int, int]) -> None:
    """Missing numbers are zero, leading zeros and build metadata do not count."""
    found = read_semver(text)
    assert found is not None
    assert found.numbers == numbers


@pytest.mark.parametrize("text", ["", "main", "1.2.3.4", "1.2.3-", "1..2", "1.2.3-a..b", "9" * 200])
def test_what_is_no_version_is_none(text: str) -> None:
    """It is left out of the order."""
    assert read_semver(text) is None


@given(st.lists(st.from_regex(r"[0-9]\.[0-9](\.[0-9](-[a-c0-9](\.[a-c0-9])?)?)?", fullmatch=True), max_size=12))
def test_the_order_is_total(texts: list[str]) -> None:
    """However the tags come, the same is newest."""
    tags = [f"v{each}" for each in texts]
    pins = {tag: pin() for tag in tags}
    told = stand(rule(TagOrder.SEMVER), tags, pins)
    assert stand(rule(TagOrder.SEMVER), sorted(tags, reverse=True), pins).candidates == told.candidates


def test_the_newest_digest_is_asked_before_anything_is_told() -> None:
    """A version is nothing without what it points to; then it is told, pinned, with those known before it."""
    tags = ["v1.9.0", "v1.10.0", "v2.0.0-rc.1", "latest", "vx"]
    first = stand(rule(TagOrder.SEMVER), tags, {"v1.9.0": pin(A)})
    assert (first.reason, first.newest, first.ask_digest) == (Reason.ASKING, None, ("v2.0.0-rc.1",))
    told = stand(rule(TagOrder.SEMVER), tags, {"v1.9.0": pin(A), "v2.0.0-rc.1": pin(B)})
    assert told.newest is not None
    assert (told.newest.version, told.newest.tag, told.newest.digest) == ("2.0.0-rc.1", "v2.0.0-rc.1", B)
    assert [each.tag for each in told.candidates] == ["v2.0.0-rc.1", "v1.9.0"]
    assert told.ask_digest == told.ask_image == ()


def test_tags_that_match_nothing_are_told() -> None:
    """With how many there are, so that a pattern that is wrong is seen."""
    told = stand(rule(TagOrder.SEMVER), ["latest", "dev"], {})
    assert (told.reason, told.newest) == (Reason.NO_MATCH, None)
    assert told.sentence == r"none of 2 tags matches ^v(?P<version>\d.*)$"
    assert stand(rule(TagOrder.SEMVER), [], {}).reason is Reason.NO_MATCH


def test_tags_without_an_order_are_told_with_a_remedy() -> None:
    """Commit ids are no semantic versions."""
    told = stand(rule(TagOrder.SEMVER, "^(?P<version>[a-f]+)$"), ["abc", "def"], {})
    assert told.reason is Reason.NO_ORDER
    assert told.sentence == "no matching tag is a semantic version (abc, def): set order to newest"


def test_newest_needs_the_time_of_every_image() -> None:
    """While one is missing nothing is told: it might be the newest; they are asked in portions."""
    tags = [f"v{number}" for number in range(50)]
    pins = {tag: pin(A, created=YEAR * 2 + int(tag[1:])) for tag in tags[:20]}
    told = stand(rule(TagOrder.NEWEST), tags, pins)
    assert (told.reason, told.newest, len(told.ask_image)) == (Reason.ASKING, None, MOST_ASKED)
    assert set(told.ask_image) <= set(tags[20:])
    assert told.sentence == "30 of 50 matching tags are still to be asked when they were built"


def test_newest_is_what_was_built_last() -> None:
    """Whatever its name is; one that does not say when, or says the epoch, is never newest."""
    pins = {
        "v1": pin(A, created=YEAR * 3),
        "v2": pin(B, created=YEAR * 2),
        "v3": pin(C, dated=True),
        "v4": pin(C, created=0.0),
        "v5": pin(C, created=-62_135_596_800.0),
    }
    told = stand(rule(TagOrder.NEWEST), list(pins), pins)
    assert [each.tag for each in told.candidates] == ["v1", "v2"]
    nothing = stand(rule(TagOrder.NEWEST), ["v3", "v4"], pins)
    assert (nothing.reason, nothing.newest) == (Reason.NO_ORDER, None)
    assert "set order to semver" in nothing.sentence


def test_too_many_tags_are_not_asked_one_by_one() -> None:
    """A registry is not asked thousands of times for one answer."""
    told = stand(rule(TagOrder.NEWEST), [f"v{number}" for number in range(MOST_DATED + 1)], {})
    assert (told.reason, told.ask_image) == (Reason.TOO_MANY, ())
    assert "narrow tagPattern" in told.sentence


def test_each_digest_of_a_fixed_tag_is_a_version() -> None:
    """Order digest: what the tag points to now is the newest."""
    fixed = rule(TagOrder.DIGEST, "^(?P<version>main)$")
    asked = stand(fixed, ["main", "v1"], {})
    assert (asked.reason, asked.ask_digest) == (Reason.ASKING, ("main",))
    pins, moved = learned({}, "main", A)
    assert moved is None
    pins, moved = learned(pins, "main", B)
    told = stand(fixed, ["main"], pins)
    assert moved == TagMoved("main", A, B)
    assert told.newest is not None
    assert told.newest.digest == B


def test_order_digest_follows_one_tag() -> None:
    """Several tags have no order among them."""
    told = stand(rule(TagOrder.DIGEST), ["v1", "v2"], {})
    assert (told.reason, told.newest) == (Reason.SEVERAL, None)


def test_a_tag_that_moves_is_told_once_and_its_version_stays_what_it_was() -> None:
    """The digest that was seen first is what the version means."""
    pins, _ = learned({}, "v1.0.0", A)
    pins, moved = learned(pins, "v1.0.0", B)
    assert moved == TagMoved("v1.0.0", A, B)
    assert str(moved) == "tag v1.0.0 was moved from sha256:aaaaaaaaaaaa to sha256:bbbbbbbbbbbb"
    pins, again = learned(pins, "v1.0.0", B)
    assert again is None
    told = stand(rule(TagOrder.SEMVER), ["v1.0.0"], pins)
    assert told.newest is not None
    assert told.newest.digest == A
    pins, back = learned(pins, "v1.0.0", A)
    assert back == TagMoved("v1.0.0", B, A)


def test_a_time_counts_for_the_image_that_it_was_told_of() -> None:
    """The time of what a tag was moved to is not that of the pinned version."""
    pins, _ = learned({}, "v1", A)
    pins, moved = learned(pins, "v1", B, dated=True, created=YEAR * 5)
    assert moved is not None
    assert (pins["v1"].digest, pins["v1"].dated, pins["v1"].created) == (A, False, None)
    pins, _ = learned(pins, "v1", A, dated=True, created=YEAR * 4)
    assert (pins["v1"].dated, pins["v1"].created) == (True, YEAR * 4)
