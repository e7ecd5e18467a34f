"""What every store must do, the in-memory one and the real one alike."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.store import SqliteStore, retention
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.core.promotion.progress import Freeze, Progress, dump_progress
from controller.core.promotion.version import Version
from controller.ports.promotions import PipelineChange, StoredPipeline
from controller.ports.store import (
    AnalysisRecord,
    Change,
    Decision,
    Pause,
    PreconditionFailed,
    Store,
    StoredRollout,
    StoreUnavailable,
)
from tests.fakes.store import MemoryDatabase, MemoryStore

CHECKOUT = ApplicationKey("shop", "checkout")
CART = ApplicationKey("shop", "cart")
DAY = 86400.0
HOSTILE = ["'; DROP TABLE rollouts; --", "nul\0inside", "ünïcode 🚀", '{"a": "\\u0000"}', "", "%_*?[", "\x1b[31m"]

Open = Callable[[], Store]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens handles on one and the same data."""
    opened: list[Store] = []
    database = MemoryDatabase()

    def open_one() -> Store:
        memory = request.param == "memory"
        store: Store = MemoryStore(database) if memory else SqliteStore(tmp_path / "state.db")
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Open) -> Store:
    return open_store()


def record(number: int, *, ended_at: float | None = None, application: ApplicationKey = CHECKOUT) -> AnalysisRecord:
    verdict = "" if ended_at is None else "Healthy"
    return AnalysisRecord(f"analysis-{number:06}", application, float(number), ended_at, "a" * 40, verdict, "{}")


def alert(summary: str = "rolled back", **more: object) -> Alert:
    made = Alert(AlertName.ROLLED_BACK, CHECKOUT, summary, "numbers", 5.0)
    return replace(made, **more)  # type: ignore[arg-type]


def decision(number: int, decided_at: float, **more: object) -> Decision:
    made = Decision(f"decision-{number}", CHECKOUT, "repo main apps", ("b" * 40,), decided_at)
    return replace(made, **more)  # type: ignore[arg-type]


def test_a_rollout_is_read_as_it_was_written(store: Store) -> None:
    """Each write adds one to the version, and all of it can be read again."""
    assert store.rollout(CHECKOUT) is None
    assert store.commit(Change(CHECKOUT, 0, "first")) == 1
    assert store.commit(Change(CHECKOUT, 1, "second")) == 2
    assert store.commit(Change(CART, 0, "other")) == 1
    assert store.rollout(CHECKOUT) == StoredRollout(CHECKOUT, 2, "second")
    assert list(store.rollouts()) == [StoredRollout(CART, 1, "other"), StoredRollout(CHECKOUT, 2, "second")]


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_stale_writer_is_refused_and_nothing_of_it_is_written(store: Store, expected: int) -> None:
    """A wrong version refuses the whole change: rollout, analyses, alerts, decisions and consumed entries."""
    store.commit(Change(CHECKOUT, 0, "first"))
    store.commit(Change(CHECKOUT, 1, "second"))
    entry = store.receive("sync", CHECKOUT, "{}", 1.0)
    change = Change(
        CHECKOUT, expected, "stale", (record(1),), (("on-call", alert()),), (entry,), (decision(1, 100.0),)
    )
    with pytest.raises(PreconditionFailed):
        store.commit(change)
    assert store.rollout(CHECKOUT) == StoredRollout(CHECKOUT, 2, "second")
    assert not store.analyses()
    assert store.outbox_pending() == 0
    assert [each.id for each in store.inbox()] == [entry]
    assert not store.decisions(0.0)


def test_two_handles_see_each_other_and_only_one_wins(open_store: Open) -> None:
    """Two writers that read the same version: the second is refused."""
    first, second = open_store(), open_store()
    first.commit(Change(CHECKOUT, 0, "first"))
    with pytest.raises(PreconditionFailed):
        second.commit(Change(CHECKOUT, 0, "second"))
    assert second.rollout(CHECKOUT) == StoredRollout(CHECKOUT, 1, "first")


def test_a_step_is_written_whole(store: Store) -> None:
    """One commit writes the rollout, its analysis, its alerts and its decision, and takes its inbox entries."""
    entry, kept = store.receive("sync", CHECKOUT, "{}", 1.0), store.receive("sync", CART, "{}", 1.0)
    made, told, decided = record(7, ended_at=9.0), alert(), decision(1, 100.0)
    store.commit(Change(CHECKOUT, 0, "body", (made,), (("on-call", told), ("chat", told)), (entry, 999), (decided,)))
    assert list(store.analyses()) == [made]
    assert [each.alert for each in store.outbox("on-call", 0.0)] == [told]
    assert [each.alert for each in store.outbox("chat", 0.0)] == [told]
    assert [each.id for each in store.inbox()] == [kept]
    assert list(store.decisions(0.0)) == [decided]


def test_analyses_come_newest_first_and_by_application(store: Store) -> None:
    """The newest write of an id holds, and the limit cuts off the oldest."""
    older, newer, other = record(1), record(2), record(3, application=CART)
    store.commit(Change(CHECKOUT, 0, "", (older, newer)))
    store.commit(Change(CART, 0, "", (other,)))
    closed = replace(older, ended_at=4.0, verdict="Breached", body='{"x":1}')
    store.commit(Change(CHECKOUT, 1, "", (closed,)))
    assert list(store.analyses()) == [other, newer, closed]
    assert list(store.analyses(CHECKOUT)) == [newer, closed]
    assert list(store.analyses(CHECKOUT, limit=1)) == [newer]


def test_an_analysis_is_found_by_its_beginning(store: Store) -> None:
    """Eight characters do where they are unambiguous; an exact id wins over a longer one."""
    found, longer, other = (replace(record(1), id=each) for each in ("0123456789", "0123456789ab", "012345678x"))
    store.commit(Change(CHECKOUT, 0, "", (found, longer, other)))
    assert store.analysis("0123456789") == found
    assert store.analysis("0123456789a") == longer
    assert store.analysis("012345678x") == other
    assert store.analysis("01234567") is None
    assert store.analysis("0123456") is None
    assert store.analysis("") is None
    assert store.analysis("nothing-like-it") is None


def test_wildcards_in_an_id_are_plain_characters(store: Store) -> None:
    """A beginning with ``%``, ``_`` or ``*`` finds nothing by chance."""
    store.commit(Change(CHECKOUT, 0, "", (record(1),)))
    assert all(store.analysis(text) is None for text in ("%%%%%%%%", "________", "analysis_%", "********"))


def test_the_inbox_keeps_its_order(store: Store) -> None:
    """Oldest first, after an entry, up to a limit; an id is never used again."""
    ids = [store.receive("sync", CHECKOUT, str(number), float(number)) for number in range(5)]
    assert ids == sorted(set(ids))
    assert [each.body for each in store.inbox()] == ["0", "1", "2", "3", "4"]
    assert [each.id for each in store.inbox(after=ids[1], limit=2)] == ids[2:4]
    store.discard([ids[4], 10_000])
    assert store.receive("command", CART, "5", 5.0) > ids[4]
    last = store.inbox(after=ids[3])[0]
    assert (last.kind, last.application, last.body, last.received_at) == ("command", CART, "5", 5.0)


def test_a_full_inbox_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing takes entries in: the sender is told, and it goes on once there is room."""
    monkeypatch.setattr(retention, "INBOX_LIMIT", 2)
    first = store.receive("sync", CHECKOUT, "{}", 1.0)
    store.receive("sync", CHECKOUT, "{}", 1.0)
    with pytest.raises(StoreUnavailable, match="rollguard run"):
        store.receive("sync", CHECKOUT, "{}", 1.0)
    store.discard([first])
    store.receive("sync", CHECKOUT, "{}", 1.0)


def test_an_alert_is_read_as_it_was_written(store: Store) -> None:
    """Every field of an alert survives the outbox."""
    told = alert(
        ended_at=9.5, policy="slo", objective="p", analysis="a1", links=(("commit", "u"),), sinks=("on-call",)
    )
    store.enqueue([("on-call", told)])
    entry = store.outbox("on-call", now=0.0)[0]
    assert (entry.alert, entry.sink, entry.attempts) == (told, "on-call", 0)


def test_the_outbox_waits_and_is_delivered_once(store: Store) -> None:
    """A postponed delivery comes back when it is due, a delivered one never."""
    store.enqueue([("on-call", alert("one")), ("on-call", alert("two")), ("chat", alert("three"))])
    assert store.outbox_pending() == 3
    one, two = store.outbox("on-call", now=0.0)
    store.postpone(one.id, 60.0, "refused")
    store.delivered(two.id, 1.0)
    store.delivered(two.id, 1.0)
    assert not store.outbox("on-call", now=59.0)
    again = store.outbox("on-call", now=60.0)[0]
    assert (again.id, again.attempts, again.next_at, again.alert) == (one.id, 1, 60.0, alert("one"))
    assert store.outbox_pending() == 2
    assert len(store.outbox("chat", now=0.0, limit=1)) == 1


def test_what_a_sink_was_told_is_not_counted_as_untold(store: Store) -> None:
    """An open alert that is only repeated waits for nobody; one that was refused does."""
    store.enqueue([("on-call", alert("one")), ("on-call", alert("two")), ("on-call", alert("three"))])
    assert store.outbox_untold() == 3
    one, two, _ = store.outbox("on-call", now=0.0)
    store.postpone(one.id, 60.0, "")
    store.postpone(two.id, 60.0, "refused")
    assert (store.outbox_pending(), store.outbox_untold()) == (3, 2)
    store.postpone(two.id, 120.0, "")
    assert store.outbox_untold() == 1


def test_pauses_replace_each_other_by_scope(store: Store) -> None:
    """One pause for each application and one for all; taking one back leaves the others."""
    everything = Pause(None, None, "incident", "ada", 1.0)
    one = Pause(CHECKOUT, 50.0, "release", "ada", 2.0)
    longer = Pause(CHECKOUT, 99.0, "release", "bob", 3.0)
    for each in (everything, one, longer):
        store.pause(each)
    assert list(store.pauses()) == [everything, longer]
    assert store.resume(None) is True
    assert store.resume(None) is False
    assert store.resume(CART) is False
    assert list(store.pauses()) == [longer]


def test_decisions_are_replaced_by_id_and_read_since(store: Store) -> None:
    """A decision is written again when it was pushed; old ones are not read."""
    first, second = decision(1, 100.0), decision(2, 200.0)
    store.commit(Change(CHECKOUT, 0, "", decisions=(first, second)))
    pushed = replace(first, pushed_at=101.0)
    store.commit(Change(CHECKOUT, 1, "", decisions=(pushed,)))
    assert list(store.decisions(100.0)) == [pushed, second]
    assert list(store.decisions(100.5)) == [second]


def test_old_decisions_are_dropped(store: Store) -> None:
    """A decision older than eight days before the newest is gone, one of seven days is there."""
    old, week, new = decision(1, DAY), decision(2, 3 * DAY), decision(3, 10 * DAY)
    for version, each in enumerate((old, week, new)):
        store.commit(Change(CHECKOUT, version, "", decisions=(each,)))
    assert list(store.decisions(0.0)) == [week, new]


def test_old_analyses_are_dropped_and_open_ones_never(store: Store) -> None:
    """Beyond the newest 200 and beyond 90 days closed analyses go; open ones and other applications' stay."""
    opened, foreign = record(0), record(1, ended_at=1.0, application=CART)
    closed = [record(number, ended_at=float(number)) for number in range(2, 2 + retention.KEEP_ANALYSES + 3)]
    store.commit(Change(CART, 0, "", (foreign,)))
    store.commit(Change(CHECKOUT, 0, "", (opened, *closed)))
    assert list(store.analyses(limit=1000)) == [*reversed(closed[3:]), foreign, opened]
    late = replace(record(5000), ended_at=5000.0 + 91 * DAY)
    store.commit(Change(CHECKOUT, 1, "", (late,)))
    assert list(store.analyses(limit=1000)) == [late, foreign, opened]


@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_only_text(store: Store, text: str) -> None:
    """Quotes, NUL, control and other characters come back as they were, and do nothing."""
    key = ApplicationKey("shop", f"a{text}")
    written = AnalysisRecord(f"identifier{text}", key, 1.0, None, text, text, text)
    store.receive("command", key, text, 1.0)
    store.pause(Pause(key, None, text, text, 1.0))
    told = alert(text, application=key, objective=text)
    made = Decision(f"d{text}", key, text, (text,), 1.0)
    store.commit(Change(key, 0, text, (written,), ((f"s{text}", told),), (), (made,)))
    assert store.rollout(key) == StoredRollout(key, 1, text)
    assert store.analysis(f"identifier{text}") == written
    assert store.inbox()[0].body == text
    assert list(store.pauses()) == [Pause(key, None, text, text, 1.0)]
    assert store.outbox(f"s{text}", 0.0)[0].alert == told
    assert list(store.decisions(0.0)) == [made]
    store.commit_pipeline(PipelineChange(key, 0, text, ((f"p{text}", told),)))
    assert store.pipeline(key) == StoredPipeline(key, 1, text)
    assert store.outbox(f"p{text}", 0.0)[0].alert == told


def progress(number: int = 1) -> Progress:
    """A pipeline that knows a version, and that somebody stopped."""
    known = Version(f"1.{number}.0", digest=f"sha256:{number:064x}", image="registry.example.com/shop/checkout")
    return Progress(CHECKOUT, known=(known,), freezes=(Freeze("ann", 1.0, "holidays", stage="production"),))


def test_a_pipeline_is_read_as_it_was_written(store: Store) -> None:
    """Each write adds one to the version; a pipeline is no rollout of the same name."""
    assert store.pipeline(CHECKOUT) is None
    body = dump_progress(progress())
    assert store.commit_pipeline(PipelineChange(CHECKOUT, 0, "first")) == 1
    assert store.commit_pipeline(PipelineChange(CHECKOUT, 1, body, progress=progress())) == 2
    assert store.commit_pipeline(PipelineChange(CART, 0, "other")) == 1
    store.commit(Change(CHECKOUT, 0, "a rollout"))
    assert store.pipeline(CHECKOUT) == StoredPipeline(CHECKOUT, 2, body)
    assert list(store.pipelines()) == [StoredPipeline(CART, 1, "other"), StoredPipeline(CHECKOUT, 2, body)]
    assert store.rollout(CHECKOUT) == StoredRollout(CHECKOUT, 1, "a rollout")
    assert store.rollout(CART) is None


@pytest.mark.parametrize("expected", [0, 1, 3])
def test_a_stale_writer_of_a_pipeline_is_refused_whole(store: Store, expected: int) -> None:
    """A wrong version refuses the progress, the alerts and the consumed entries."""
    store.commit_pipeline(PipelineChange(CHECKOUT, 0, "first"))
    store.commit_pipeline(PipelineChange(CHECKOUT, 1, "second"))
    entry = store.receive("promotion", CHECKOUT, "{}", 1.0)
    with pytest.raises(PreconditionFailed):
        store.commit_pipeline(PipelineChange(CHECKOUT, expected, "stale", (("on-call", alert()),), (entry,)))
    assert store.pipeline(CHECKOUT) == StoredPipeline(CHECKOUT, 2, "second")
    assert store.outbox_pending() == 0
    assert [each.id for each in store.inbox()] == [entry]


def test_of_two_writers_of_a_pipeline_one_wins(open_store: Open) -> None:
    """Two handles that read the same version: the second is refused."""
    first, second = open_store(), open_store()
    first.commit_pipeline(PipelineChange(CHECKOUT, 0, "first"))
    with pytest.raises(PreconditionFailed):
        second.commit_pipeline(PipelineChange(CHECKOUT, 0, "second"))
    assert second.pipeline(CHECKOUT) == StoredPipeline(CHECKOUT, 1, "first")


def test_a_move_of_a_pipeline_is_written_whole(store: Store) -> None:
    """One commit writes the progress and its alerts, and takes its inbox entries."""
    entry, kept = store.receive("promotion", CHECKOUT, "{}", 1.0), store.receive("promotion", CART, "{}", 2.0)
    told = alert(policy="shop/checkout:production")
    alerts = (("on-call", told), ("chat", told))
    store.commit_pipeline(PipelineChange(CHECKOUT, 0, "body", alerts, (entry, 999), progress()))
    assert [each.alert for each in store.outbox("on-call", 0.0)] == [told]
    assert [each.alert for each in store.outbox("chat", 0.0)] == [told]
    assert [each.id for each in store.inbox()] == [kept]
    for sink in ("on-call", "chat"):
        store.delivered(store.outbox(sink, 0.0)[0].id, 1.0)
    assert store.outbox_pending() == 0
    assert store.pipeline(CHECKOUT) == StoredPipeline(CHECKOUT, 1, "body")


def test_what_is_asked_of_a_pipeline_waits_beside_what_is_asked_of_an_application(open_store: Open) -> None:
    """One inbox in the order of arrival, whoever wrote; an application and a pipeline of one name are told apart."""
    store, person = open_store(), open_store()
    person.receive("command", CHECKOUT, "to the application", 1.0)
    person.receive("promotion", CHECKOUT, "to the pipeline", 2.0)
    store.changed()
    found = list(store.inbox())
    assert [(each.kind, each.application, each.body) for each in found] == [
        ("command", CHECKOUT, "to the application"),
        ("promotion", CHECKOUT, "to the pipeline"),
    ]
    store.discard([found[1].id])
    assert [each.body for each in store.inbox()] == ["to the application"]
    store.commit(Change(CHECKOUT, 0, "", consumed=(found[0].id,)))
    assert not store.inbox()


def test_an_alert_about_a_broken_commit_is_not_lost(store: Store) -> None:
    """A lone surrogate, which no database text may have, does not hold up the alert."""
    store.enqueue([("on-call", alert("subject \udce9 broken"))])
    assert store.outbox("on-call", 0.0)[0].alert.summary.startswith("subject ")


def test_changed_tells_what_others_wrote(open_store: Open) -> None:
    """It is another number after somebody else's write, and the same while nobody wrote."""
    mine, other = open_store(), open_store()
    before = mine.changed()
    assert mine.changed() == before
    mine.commit(Change(CHECKOUT, 0, ""))
    assert mine.changed() == before
    other.receive("sync", CHECKOUT, "{}", 1.0)
    after = mine.changed()
    assert after != before
    assert mine.changed() == after


def test_threads_do_not_lose_writes(store: Store) -> None:
    """Eight threads count one rollout up under its precondition: every success is one version."""
    successes = []

    def count_up() -> None:
        for _ in range(20):
            found = store.rollout(CHECKOUT)
            try:
                successes.append(store.commit(Change(CHECKOUT, found.version if found else 0, "x")))
            except PreconditionFailed:
                continue

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = store.rollout(CHECKOUT)
    assert last is not None
    assert sorted(successes) == list(range(1, last.version + 1))


def test_a_closed_store_says_so(store: Store) -> None:
    """After ``close`` every call is an error of the port, and closing again is harmless."""
    store.close()
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.rollouts()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.pipelines()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.receive("sync", CHECKOUT, "{}", 1.0)
