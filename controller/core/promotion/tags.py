"""Which tag of a repository is the newest version, and what must still be asked to tell.

Invariant: no newest version is told from a part of what is needed: while a time or a digest is missing, it is asked for. A
version is a tag with the digest that it was first seen with; a tag that later points elsewhere is told, and changes nothing
that was promoted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.core.promotion.semver import Semver, read_semver
from controller.core.promotion.tag_pattern import TagPattern

MOST_DATED = 1000
"""Tags of which times of creation are asked: each is some requests, once."""
MOST_ASKED = 20
"""Tags that are asked about between two polls."""
_NO_REAL_TIME = 366 * 86_400.0
"""Reproducible builds write the epoch, or a day after it, for want of a time."""


class TagOrder(StrEnum):
    """What makes one version newer than another."""

    SEMVER = "semver"
    """Precedence as in Semantic Versioning, pre-releases included where the pattern lets them through."""
    NEWEST = "newest"
    """When the image was built, as it says."""
    DIGEST = "digest"
    """One fixed tag: each digest that it comes to point to is a version."""


class Reason(StrEnum):
    """Why there is no newest version, or not yet."""

    KNOWN = "Known"
    ASKING = "Asking"
    NO_MATCH = "NoMatch"
    NO_ORDER = "NoOrder"
    """Tags match, and none can be put in order."""
    TOO_MANY = "TooMany"
    SEVERAL = "Several"
    """Order ``digest``, and more than one tag."""


@dataclass(frozen=True, slots=True)
class TagRule:
    """Which tags are versions and which of them is newest, as a pipeline declares it."""

    pattern: TagPattern
    order: TagOrder = TagOrder.SEMVER


@dataclass(frozen=True, slots=True)
class Pin:
    """What is known of one tag."""

    digest: str
    """What it pointed to when it was first seen: what its version means for good."""
    latest: str
    """What it pointed to when it was last asked."""
    dated: bool = False
    """The image was asked for its time."""
    created: float | None = None


@dataclass(frozen=True, slots=True)
class TagMoved:
    """A tag points to another image than before."""

    tag: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"tag {self.tag} was moved from {self.before[:19]} to {self.now[:19]}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that could be promoted, pinned by its digest."""

    version: str
    tag: str
    digest: str
    created: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the tags say."""

    reason: Reason
    sentence: str
    candidates: tuple[Candidate, ...] = ()
    """Newest first, as far as their digests are known; the first is the newest version."""
    ask_digest: tuple[str, ...] = ()
    """Tags whose digest must be asked."""
    ask_image: tuple[str, ...] = ()
    """Tags whose image must be asked for its digest and time of creation: by the pinned digest, where there is one."""

    @property
    def newest(self) -> Candidate | None:
        """The version to promote; None where it is not known (yet)."""
        return self.candidates[0] if self.reason is Reason.KNOWN and self.candidates else None


def stand(rule: TagRule, tags: Sequence[str], pins: Mapping[str, Pin]) -> Standing:
    """Put the matching tags in order; ``pins`` are those that were asked about so far."""
    versions = {tag: version for tag in dict.fromkeys(tags) if (version := rule.pattern.version_of(tag))}
    if not versions:
        return Standing(Reason.NO_MATCH, f"none of {len(tags)} tags matches {rule.pattern.text}")
    if rule.order is TagOrder.DIGEST:
        return _by_digest(versions, pins)
    if rule.order is TagOrder.NEWEST:
        return _by_time(versions, pins)
    return _by_precedence(versions, pins)


def learned(
    pins: Mapping[str, Pin], tag: str, digest: str, *, dated: bool = False, created: float | None = None
) -> tuple[dict[str, Pin], TagMoved | None]:
    """The pins with what was asked about a tag (``dated``: its image was), and whether it has moved since last asked."""
    before = pins.get(tag)
    if before is None:
        return {**pins, tag: Pin(digest, digest, dated, created)}, None
    now = replace(before, latest=digest)
    if dated and digest == before.digest:
        now = replace(now, dated=True, created=created)
    moved = TagMoved(tag, before.latest, digest) if before.latest != digest else None
    return {**pins, tag: now}, moved


def _by_precedence(versions: Mapping[str, str], pins: Mapping[str, Pin]) -> Standing:
    read = {tag: each for tag, version in versions.items() if (each := read_semver(version)) is not None}
    if not read:
        shown = ", ".join(sorted(versions)[:3])
        return Standing(Reason.NO_ORDER, f"no matching tag is a semantic version ({shown}): set order to newest")

    def precedence(tag: str) -> tuple[Semver, str]:
        return read[tag], tag

    ordered = sorted(read, key=precedence, reverse=True)
    return _pinned(ordered, versions, pins)


def _by_time(versions: Mapping[str, str], pins: Mapping[str, Pin]) -> Standing:
    if len(versions) > MOST_DATED:
        sentence = f"{len(versions)} tags match, and each would have to be asked when it was built"
        return Standing(Reason.TOO_MANY, f"{sentence}: narrow tagPattern, or delete old tags ({MOST_DATED} at most)")
    undated = [tag for tag in versions if tag not in pins or not pins[tag].dated]
    if undated:
        sentence = f"{len(undated)} of {len(versions)} matching tags are still to be asked when they were built"
        return Standing(Reason.ASKING, sentence, ask_image=tuple(undated[:MOST_ASKED]))
    times = {tag: at for tag in versions if (at := pins[tag].created) is not None and at > _NO_REAL_TIME}
    if not times:
        return Standing(Reason.NO_ORDER, "no matching image says when it was built: set order to semver")

    def age(tag: str) -> tuple[float, str]:
        return times[tag], tag

    return _pinned(sorted(times, key=age, reverse=True), versions, pins)


def _by_digest(versions: Mapping[str, str], pins: Mapping[str, Pin]) -> Standing:
    if len(versions) > 1:
        shown = ", ".join(sorted(versions)[:3])
        return Standing(
            Reason.SEVERAL, f"{len(versions)} tags match ({shown}), and order digest follows one: narrow tagPattern"
        )
    ((tag, version),) = versions.items()
    pin = pins.get(tag)
    if pin is None:
        return Standing(Reason.ASKING, f"tag {tag} is still to be asked for its digest", ask_digest=(tag,))
    candidate = Candidate(version, tag, pin.latest, pin.created if pin.latest == pin.digest else None)
    return Standing(Reason.KNOWN, f"tag {tag} points to {pin.latest[:19]}", (candidate,))


def _pinned(ordered: Sequence[str], versions: Mapping[str, str], pins: Mapping[str, Pin]) -> Standing:
    """The candidates of tags that are in order; the first one's digest must be known."""
    first = ordered[0]
    if first not in pins:
        return Standing(Reason.ASKING, f"tag {first} is the newest; its digest is still to be asked", (), (first,))
    candidates = tuple(
        Candidate(versions[tag], tag, pins[tag].digest, pins[tag].created) for tag in ordered if tag in pins
    )
    return Standing(Reason.KNOWN, f"tag {first} is the newest of {len(ordered)}", candidates)
