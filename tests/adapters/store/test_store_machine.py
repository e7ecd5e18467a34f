"""Random histories of calls: the file answers as the in-memory store does, also after it was closed and opened."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from controller.adapters.store import SqliteStore
from controller.core.alerts import Alert, AlertName
from controller.core.application import ApplicationKey
from controller.ports.store import AnalysisRecord, Change, Decision, OutboxEntry, Pause, PreconditionFailed
from tests.fakes.store import MemoryStore

DAY = 86400.0
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.builds(ApplicationKey, st.sampled_from(["shop", "bank"]), st.sampled_from(["a", "b"]))
times = st.floats(0, 200 * DAY, allow_nan=False)
alerts = st.builds(Alert, st.sampled_from(AlertName), keys, text, text, times, st.none() | times, text)
told = st.lists(st.tuples(st.sampled_from(["on-call", "chat"]), alerts), max_size=2).map(tuple)
ids = st.sampled_from(["analysis-a", "analysis-b", "analysis-bb", "unlike-them"])
analyses = st.lists(st.builds(AnalysisRecord, ids, keys, times, st.none() | times, text, text, text), max_size=2).map(
    tuple
)
decisions = st.lists(
    st.builds(Decision, st.sampled_from("123"), keys, text, st.lists(text, max_size=2).map(tuple), times), max_size=2
).map(tuple)
number = st.integers(1, 12)


class StoreMachine(RuleBasedStateMachine):
    """Does everything to both and compares the answers."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.real = SqliteStore(self.folder / "state.db")
        self.fake = MemoryStore()
        self.inbox_ids: list[tuple[int, int]] = []

    def both(self, call: Callable[[SqliteStore | MemoryStore], object]) -> object:
        answers = []
        for store in (self.real, self.fake):
            try:
                answers.append(call(store))
            except PreconditionFailed:
                answers.append("refused")
        assert answers[0] == answers[1]
        return answers[0]

    @rule(key=keys, stale=st.booleans(), body=text, analyses=analyses, told=told, decisions=decisions, data=st.data())
    def commit(self, *, key, stale, body, analyses, told, decisions, data) -> None:
        found = self.fake.rollout(key)
        expected = (found.version if found else 0) + (1 if stale else 0)
        taken = data.draw(st.lists(st.sampled_from(self.inbox_ids), max_size=3)) if self.inbox_ids else []
        for store, column in ((self.real, 0), (self.fake, 1)):
            consumed = tuple(pair[column] for pair in taken)
            change = Change(key, expected, body, analyses, told, consumed, decisions)
            try:
                assert store.commit(change) == expected + 1
            except PreconditionFailed:
                assert stale

    @rule(kind=st.sampled_from(["sync", "command"]), key=keys, body=text, at=times)
    def receive(self, kind, key, body, at) -> None:
        self.inbox_ids.append((self.real.receive(kind, key, body, at), self.fake.receive(kind, key, body, at)))

    @rule(told=told)
    def enqueue(self, told) -> None:
        self.both(lambda store: store.enqueue(told))

    @rule(sink=st.sampled_from(["on-call", "chat"]), now=times, next_at=times, delivered=st.booleans())
    def deliver(self, sink, now, next_at, delivered) -> None:
        for store in (self.real, self.fake):
            for entry in store.outbox(sink, now, limit=1):
                if delivered:
                    store.delivered(entry.id, now)
                else:
                    store.postpone(entry.id, next_at, "down")

    @rule(key=st.none() | keys, until=st.none() | times, reason=text, by=text, at=times)
    def pause(self, key, until, reason, by, at) -> None:
        self.both(lambda store: store.pause(Pause(key, until, reason, by, at)))

    @rule(key=st.none() | keys)
    def resume(self, key) -> None:
        self.both(lambda store: store.resume(key))

    @rule()
    def reopen(self) -> None:
        self.real.close()
        self.real = SqliteStore(self.folder / "state.db")

    @rule(key=st.none() | keys, limit=number, prefix=ids, length=number, since=times)
    def ask(self, key, limit, prefix, length, since) -> None:
        self.both(lambda store: list(store.analyses(key, limit)))
        self.both(lambda store: store.analysis(prefix[:length]))
        self.both(lambda store: list(store.decisions(since)))

    @invariant()
    def they_hold_the_same(self) -> None:
        if not hasattr(self, "real"):
            return
        self.both(lambda store: [list(store.rollouts()), list(store.analyses()), list(store.decisions(0.0))])
        self.both(lambda store: [list(store.pauses()), store.outbox_pending()])
        self.both(lambda store: [(e.kind, e.application, e.body, e.received_at) for e in store.inbox()])
        self.both(lambda store: [without_id(e) for sink in ("on-call", "chat") for e in store.outbox(sink, 1e12)])

    def teardown(self) -> None:
        if hasattr(self, "real"):
            self.real.close()
            shutil.rmtree(self.folder)


def without_id(entry: OutboxEntry) -> tuple[object, ...]:
    return (entry.sink, entry.alert, entry.attempts, entry.next_at)


StoreMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


class TestStoreMachine(StoreMachine.TestCase):
    """Runs the machine."""
