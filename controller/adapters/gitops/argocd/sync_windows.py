"""Sync windows: when an AppProject lets its Applications be synced, by themselves or by a person.

Invariant: for each moment the answer is Argo CD's own (``SyncWindows.CanSync``): an active deny wins; without one an
active allow lets through; where allow windows exist and none is active, nothing is synced; a window that cannot be read
lets nothing through.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from controller.adapters.gitops.argocd.application import SeenApplication
from controller.adapters.gitops.argocd.cron import Schedule, parse_schedule
from controller.adapters.gitops.argocd.globs import matches
from controller.adapters.kubernetes.fields import Node, flag, mapping, mappings, text, texts

_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_WINDOW = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class SyncWindow:
    """One window of a project."""

    denies: bool
    schedule: Schedule | None
    """None: it cannot be read."""
    seconds: float
    zone: str
    manual: bool
    """Lets people sync all the same."""
    applications: tuple[str, ...]
    clusters: tuple[str, ...]
    namespaces: tuple[str, ...]
    all_of: bool
    """Each of the three that is set must match; otherwise one is enough."""
    description: str = ""

    def covers(self, seen: SeenApplication) -> bool:
        """Whether it counts for an Application."""
        found = [
            any(matches(pattern, name) for pattern in patterns for name in names)
            for patterns, names in (
                (self.applications, (seen.key.name,)),
                (self.clusters, tuple(each for each in seen.cluster if each)),
                (self.namespaces, (seen.destination,)),
            )
            if patterns
        ]
        return bool(found) and (all(found) if self.all_of else any(found))

    def is_active(self, now: float) -> bool:
        """Whether it is open at a moment; in doubt Argo CD takes the zone's offset of that moment."""
        if self.schedule is None:
            return False
        moment = (datetime.fromtimestamp(now, UTC) + _offset(self.zone, now)).replace(tzinfo=UTC)
        return self.schedule.last_before(moment, moment - timedelta(seconds=self.seconds)) is not None


@dataclass(frozen=True, slots=True)
class Project:
    """An AppProject's windows."""

    name: str
    windows: tuple[SyncWindow, ...] = ()

    def forbids(self, seen: SeenApplication, now: float, *, by_hand: bool) -> str:
        """Why an Application is not synced now, in one sentence; empty: it is."""
        windows = [each for each in self.windows if each.covers(seen)]
        if any(each.schedule is None for each in windows):
            return f"a sync window of the project {self.name} cannot be read, so Argo CD syncs nothing"
        denying = [each for each in windows if each.denies and each.is_active(now)]
        if denying:
            through = by_hand and all(each.manual for each in denying)
            return "" if through else f"a deny window of the project {self.name} is open{_described(denying)}"
        allowing = [each for each in windows if not each.denies]
        if not allowing or any(each.is_active(now) for each in allowing):
            return ""
        if by_hand and all(each.manual for each in allowing):
            return ""
        return f"no allow window of the project {self.name} is open{_described(allowing)}"


def project_of(document: Node) -> Project | None:
    """Read an AppProject; None where it has no name."""
    name = text(mapping(document, "metadata"), "name")
    return Project(name, tuple(_windows(mapping(document, "spec")))) if name else None


def _windows(spec: Node) -> Iterator[SyncWindow]:
    for each in mappings(spec, "syncWindows"):
        try:
            schedule: Schedule | None = parse_schedule(text(each, "schedule"))
            seconds = parse_go_duration(text(each, "duration"))
        except ValueError:
            schedule, seconds = None, 0.0
        kind = text(each, "kind")
        if kind not in {"deny", "allow"} and schedule is not None:
            continue  # Argo CD takes it for neither
        yield SyncWindow(
            denies=kind == "deny",
            schedule=schedule,
            seconds=seconds,
            zone=text(each, "timeZone"),
            manual=flag(each, "manualSync"),
            applications=texts(each, "applications"),
            clusters=texts(each, "clusters"),
            namespaces=texts(each, "namespaces"),
            all_of=flag(each, "andOperator"),
            description=text(each, "description")[:100],
        )


def parse_go_duration(written: str) -> float:
    """Seconds of ``1h30m`` as Go reads it; at most a year counts.

    Raises:
        ValueError: Go does not read it.
    """
    parts = _PART.findall(written)
    if written == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != written.removeprefix("+"):
        raise ValueError(f"{written[:40]!r} is no duration")
    return min(sum(float(number) * _UNITS[unit] for number, unit in parts), LONGEST_WINDOW)


def _offset(zone: str, now: float) -> timedelta:
    """A zone that is not known counts as UTC."""
    try:
        return datetime.fromtimestamp(now, ZoneInfo(zone)).utcoffset() or timedelta() if zone else timedelta()
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return timedelta()


def _described(windows: Iterable[SyncWindow]) -> str:
    said = next((each.description for each in windows if each.description), "")
    return f" ({said})" if said else ""
