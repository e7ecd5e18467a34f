"""Analyses as they are stored: found by id or by application, the newest state of each.

Invariant: an analysis that is still open is read from its application's state, which is written more often than its
record in the history.
"""

from collections.abc import Iterable

from controller.cli.common import Opened, chosen
from controller.cli.failures import CommandError
from controller.core.application import ApplicationKey
from controller.core.state import AnalysisKind, Origin, Record, load_record, load_rollout
from controller.ports.store import AnalysisRecord, Store, StoredRollout

_LOOKED_THROUGH = 50


def read_record(stored: AnalysisRecord) -> Record | None:
    """The record, or None where this version cannot read it."""
    try:
        return load_record(stored.body)
    except ValueError:
        return None


def open_record(stored: StoredRollout) -> Record | None:
    """The open analysis of an application, or None."""
    try:
        rollout = load_rollout(stored.body)
    except ValueError:
        return None
    if rollout.analysis is None:
        return None
    return Record(rollout.application, rollout.analysis, rollout.rollback)


def find_record(place: Opened, wanted: str) -> Record:
    """An analysis by its id, the beginning of one (8 characters), or an application's name: its newest.

    Raises:
        CommandError: there is none, or it cannot be read.
    """
    opened_now = [record for each in place.store.rollouts() if (record := open_record(each)) is not None]
    by_id = [each for each in opened_now if each.analysis.id == wanted or _begins(each.analysis.id, wanted)]
    stored = place.store.analysis(wanted)
    if stored is not None:
        newest = next((each for each in opened_now if each.analysis.id == stored.id), None)
        return newest or _readable(stored)
    if len(by_id) == 1:
        return by_id[0]
    return _newest_of(place, wanted, opened_now)


def cause_of(place: Opened, record: Record) -> str | None:
    """The id of the analysis that a restore came of; None where this is no restore, a person's, or that one is gone."""
    if record.analysis.kind is not AnalysisKind.RECOVERY or record.rollback is None:
        return None
    if record.rollback.origin is Origin.PERSON:
        return None
    undone, own = record.rollback.live, record.analysis.id
    before = place.store.analyses(record.application.key, limit=_LOOKED_THROUGH)
    return next((each.id for each in before if each.revision == undone and each.id != own), None)


def _begins(analysis_id: str, wanted: str) -> bool:
    return len(wanted) >= 8 and analysis_id.startswith(wanted)  # noqa: PLR2004  as the store has it


def _newest_of(place: Opened, wanted: str, opened_now: Iterable[Record]) -> Record:
    try:
        key = chosen(wanted, place.applications())
    except CommandError:
        raise CommandError(
            f"there is no analysis {wanted!r} (8 characters at least), and no application of that name; "
            "`rollguard history` lists them"
        ) from None
    record = next((each for each in opened_now if each.application.key == key), None)
    return record or _last_of(place.store, key)


def _last_of(store: Store, key: ApplicationKey) -> Record:
    found = store.analyses(key, limit=1)
    if not found:
        raise CommandError(f"nothing of {key} was judged yet")
    return _readable(found[0])


def _readable(stored: AnalysisRecord) -> Record:
    try:
        return load_record(stored.body)
    except ValueError as error:
        raise CommandError(f"the record of {stored.id} cannot be read: {error}") from None
