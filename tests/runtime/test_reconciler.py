"""The reconciler: what could not be written down never happened, and its cause comes again."""

import json
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from controller.core.alerts import AlertName
from controller.core.application import ApplicationKey, GitSource
from controller.core.events import Observed, PolicyChanged, Refreshed, TimePassed
from controller.core.intents import Inspect, Measure, Push
from controller.core.state import StateTooNew, dump_rollout, load_rollout
from controller.ports.gitops import SyncPhase, SyncReport
from controller.ports.store import Change, PreconditionFailed, StoredRollout, StoreUnavailable
from controller.runtime import reconciler as module
from tests.fakes.store import MemoryStore
from tests.runtime.parts import CART, CHECKOUT, Bench, application, spec


def test_what_cannot_be_written_is_not_performed_and_is_taken_later() -> None:
    """The store refuses: no intent is performed and the inbox entry stays; once it accepts, all goes on."""
    bench = Bench().guard()
    revision = bench.commit("two")
    bench.performed.clear()
    bench.intake.publish(SyncReport(CHECKOUT, revision, SyncPhase.STARTED, bench.clock.now()))
    assert [type(each).__name__ for each in bench.performed] == ["Identify"]
    before = bench.rollout()
    bench.performed.clear()
    report = SyncReport(CHECKOUT, bench.commit("three"), SyncPhase.STARTED, bench.clock.now())
    refuse(bench)
    bench.intake.publish(report)
    assert bench.performed == []
    assert bench.rollout() is before
    assert len(bench.database.inbox) == 1
    accept(bench)
    bench.intake.poll()
    assert bench.database.inbox == {}
    assert report.revision in {each.revision for each in bench.rollout().unidentified}


def refuse(bench: Bench) -> None:
    """The store takes no step any more; the inbox can still be written."""

    def commit(change: Change) -> int:
        raise StoreUnavailable("no space left on device")

    bench.store.commit = commit  # type: ignore[method-assign]


def accept(bench: Bench) -> None:
    """The store takes steps again."""
    del bench.store.commit


def test_a_breach_that_cannot_be_written_begins_no_restore() -> None:
    """The disk is full when the breach is found: nothing is asked of Git; the ticks come again once it has room."""
    bench = Bench().guard()
    bench.deploy("two")
    bench.pass_time(30)
    refuse(bench)
    bench.metrics.share = 0.3
    bench.pass_time(90)
    assert bench.rollout().rollback is None
    assert not any(isinstance(each, Inspect) for each in bench.performed)
    assert bench.restores() == []
    accept(bench)
    bench.pass_until(bench.restores)
    assert len(bench.restores()) == 1


def test_a_push_whose_outcome_cannot_be_written_is_looked_for() -> None:
    """The push was made and the store refused to take that down: found in the branch, none added."""
    bench = Bench().guard()
    bench.breach(run=False)
    bench.remote.before_push = lambda: refuse(bench)
    bench.lanes.run()
    bench.pass_time(30)
    assert len(bench.restores()) == 1
    assert json.loads(bench.store.rollout(CHECKOUT).body)["rollout"]["rollback"]["stage"] == "Push"  # type: ignore[union-attr]
    accept(bench)
    bench.pass_time(30)
    assert len(bench.restores()) == 1
    assert bench.rollout().rollback is not None
    assert bench.rollout().rollback.stage.value == "Done"  # type: ignore[union-attr]
    assert AlertName.ROLLED_BACK in bench.told()


def test_where_another_process_wrote_its_state_is_read_again() -> None:
    """The version has moved: the step is given up, the other's state holds, and the next event is taken on top of it."""
    bench = Bench().guard()
    other = MemoryStore(bench.database)
    stored = other.rollout(CHECKOUT)
    assert stored is not None
    theirs = replace(load_rollout(stored.body), frozen="by the other process")
    other.commit(Change(CHECKOUT, stored.version, dump_rollout(theirs)))
    edited = PolicyChanged("shop/checkout", spec(mode="Shadow"))
    assert not bench.reconciler.submit(CHECKOUT, edited)
    assert bench.rollout().frozen == "by the other process"
    assert bench.reconciler.submit(CHECKOUT, edited)
    assert (bench.rollout().frozen, bench.rollout().policy) == ("by the other process", edited.policy)


def test_a_state_that_cannot_be_written_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events come each second, and thousands at a start: the log says what is wrong once, and again once it was mended."""
    bench = Bench().guard()
    commit = bench.store.commit

    def refuse(_change: Change) -> int:
        raise StoreUnavailable("the disk is full")

    for _ in range(2):
        monkeypatch.setattr(bench.store, "commit", refuse)
        with capture_logs() as logs:
            for mode in ("Shadow", "Enforce") * 3:
                bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec(mode=mode)))
        assert [line["error"] for line in logs if line["log_level"] == "error"] == ["the disk is full"]
        monkeypatch.setattr(bench.store, "commit", commit)
        assert bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec(mode="Shadow")))
        assert bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec()))


def test_where_another_process_wrote_and_cannot_be_read_both_are_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two troubles take turns with each event, and do not take turns in the log."""
    bench = Bench().guard()

    def conflict(_change: Change) -> int:
        raise PreconditionFailed("read it again")

    def away(_key: ApplicationKey) -> None:
        raise StoreUnavailable("the server is away")

    monkeypatch.setattr(bench.store, "commit", conflict)
    monkeypatch.setattr(bench.store, "rollout", away)
    with capture_logs() as logs:
        for mode in ("Shadow", "Enforce") * 3:
            bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec(mode=mode)))
    assert [line["error"] for line in logs if line["log_level"] == "error"] == ["read it again", "the server is away"]


def test_a_fault_in_one_application_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever one application's state makes the code do, the beat and the inbox go on for the others."""
    bench = Bench([application(CHECKOUT), application(CART)]).guard()
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    advance = module.advance

    def faulty(rollout: object, event: object, *rest: object) -> object:
        if rollout.application.key == CHECKOUT:  # type: ignore[attr-defined]
            raise ZeroDivisionError
        return advance(rollout, event, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "advance", faulty)
    for key in (CHECKOUT, CART):
        bench.store.receive("sync", key, '{"application":{"namespace":"shop","name":"x"}}', 0.0)
    revision = bench.commit("three", CART)
    with capture_logs() as logs:
        bench.intake.publish(SyncReport(CHECKOUT, revision, SyncPhase.HEALTHY, bench.clock.now()))
        bench.report(revision, key=CART)
        bench.pass_time(60)
    assert {line["application"] for line in logs if line.get("exc_info")} == {str(CHECKOUT)}
    assert len(bench.rollout(CART).analysis.syncs) == 2  # type: ignore[union-attr]
    assert bench.rollout(CART).analysis.ticks[0].at.size >= 2  # type: ignore[union-attr]
    assert [each.application for each in bench.database.inbox.values()] == [CHECKOUT]


def test_evidence_is_written_every_two_minutes_and_when_it_stops() -> None:
    """Between checkpoints looks cost no write; a checkpoint holds all ticks that were seen."""
    bench = Bench().guard()
    bench.metrics.rate = 0.1
    bench.deploy("two")
    bench.pass_time(30)
    version, begun = stored(bench).version, bench.clock.now()
    bench.pass_time(80)
    assert stored(bench).version == version
    while stored(bench).version == version:
        bench.pass_time(5)
    assert bench.clock.now() - begun <= module.CHECKPOINT_SECONDS + 15
    bench.pass_time(60)
    behind = load_rollout(stored(bench).body)
    assert ticks(behind) < ticks(bench.rollout())
    bench.reconciler.checkpoint(10.0)
    assert ticks(load_rollout(stored(bench).body)) == ticks(bench.rollout())


def test_of_very_many_analyses_few_are_written_in_a_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    """What checkpoints cost the store is bounded: each beat writes those that waited longest, and all have their turn."""
    monkeypatch.setattr(module, "MOST_CHECKPOINTS", 1)
    bench = Bench([application(), application(CART)]).guard()
    bench.metrics.rate = 0.1
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    bench.pass_time(30)
    bench.clock.advance(module.CHECKPOINT_SECONDS)
    written: list[ApplicationKey] = []
    commit = bench.store.commit

    def noted(change: Change) -> int:
        written.append(change.application)
        return commit(change)

    monkeypatch.setattr(bench.store, "commit", noted)
    bench.reconciler.keep_looks()
    assert len(written) == 1
    bench.reconciler.keep_looks()
    assert sorted(written) == [CART, CHECKOUT]
    bench.reconciler.keep_looks()
    assert len(written) == 2


def test_only_what_is_under_way_is_gone_through_with_each_beat() -> None:
    """Of thousands that rest, none; one that is deployed is there until it is judged, and one that is gone is not."""
    bench = Bench([application(), application(CART)]).guard()
    assert bench.reconciler.busy() == ()
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    assert {each.application.key for each in bench.reconciler.busy()} == {CHECKOUT, CART}
    bench.reconciler.release(CART)
    assert [each.application.key for each in bench.reconciler.busy()] == [CHECKOUT]
    bench.pass_until(lambda: bench.rollout().analysis is None)
    assert bench.reconciler.busy() == ()


def stored(bench: Bench) -> StoredRollout:
    """What the store holds."""
    found = bench.store.rollout(CHECKOUT)
    assert found is not None
    return found


def ticks(rollout: object) -> int:
    """How many ticks an analysis has."""
    analysis = rollout.analysis  # type: ignore[attr-defined]
    return int(analysis.ticks[0].at.size) if analysis is not None and analysis.ticks else 0


def test_after_a_restart_only_the_missing_ticks_are_asked_and_nothing_is_judged_twice() -> None:
    """Killed between checkpoints: what the checkpoint lacks is asked, and no more; the end is the same."""
    bench = Bench().guard()
    bench.deploy("two")
    bench.pass_time(200)
    kept = load_rollout(stored(bench).body)
    assert 0 < ticks(kept) < ticks(bench.rollout())
    last = float(kept.analysis.ticks[0].at[-1])  # type: ignore[union-attr]
    again = bench.restart()
    assert ticks(again.rollout()) == ticks(kept)
    again.pass_time(5)
    asked = [at for _, at in again.metrics.asked]
    new, checked = asked[:-1], asked[-1]
    assert new == sorted(set(new))
    assert new[0] == last + 15
    assert checked == new[-2]
    assert ticks(again.rollout()) >= ticks(bench.rollout())
    again.pass_until(lambda: again.rollout().analysis is None)
    verdicts = [each.verdict for each in again.store.analyses(CHECKOUT)]
    assert verdicts == ["Healthy"]


def test_a_restart_between_verdict_and_push_makes_one_restore() -> None:
    """The process dies after every number of tasks in turn: one restore each time, one verdict, one alert."""
    for survived in range(6):
        bench = Bench().guard()
        bench.breach(run=False)
        bench.lanes.run(most=survived)
        again = bench.restart()
        again.pass_until(lambda again=again: again.rollout().rollback.stage.value == "Done")  # type: ignore[misc]
        again.pass_time(30)
        assert len(again.restores()) == 1, survived
        assert again.told().count("RollguardRolledBack") == 1
        assert len(again.store.analyses(CHECKOUT)) == 1


def test_what_was_in_flight_is_not_performed_before_it_is_looked_at() -> None:
    """A finished commit waits for its push when the process dies: the next one inspects first, whatever comes first."""
    bench = Bench().guard()
    bench.breach(run=False)
    while not any(isinstance(each, Push) for each in bench.performed):
        bench.lanes.run(most=1)
    again = Bench(bench.applications, database=bench.database, remote=bench.remote, clock=bench.clock)
    assert again.rollout().rollback.stage.value == "Push"  # type: ignore[union-attr]
    again.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec(mode="Shadow")))
    again.reconciler.tick()
    again.intake.take()
    assert again.performed == []
    again.reconciler.resume()
    assert [type(each) for each in again.performed] == [Inspect]


def test_every_alert_goes_to_its_own_sinks_or_to_all() -> None:
    """A policy names a sink: only that one is told. It names one that is unknown: all are, since alerts fail open."""
    for named, expected in (["people"], {"people"}), (["nobody"], {"people"}), ([], {"people"}):
        bench = Bench().guard(spec(alerts=named, onBreach={"action": "Alert"}))
        bench.deploy("two")
        bench.metrics.share = 0.3
        bench.pass_until(lambda bench=bench: "RollguardBreached" in bench.told())  # type: ignore[misc]
        assert {each.sink for each in bench.database.outbox.values()} == expected
        assert bench.woken == 1


def test_an_application_whose_place_has_changed_is_watched_anew() -> None:
    """The settings name another folder: what was known is forgotten, the policy stays, and the new one is adopted."""
    bench = Bench().guard()
    moved = replace(application(), source=GitSource(bench.applications[0].source.repository, "main", ("deploy",)))
    again = Bench([moved], database=bench.database, remote=bench.remote, clock=bench.clock)
    again.reconciler.resume()
    assert again.rollout().application == moved
    assert (again.rollout().good, again.rollout().policy) == (None, bench.rollout().policy)


def test_a_state_of_a_newer_version_is_not_touched() -> None:
    """A downgrade must not overwrite what it cannot read."""
    bench = Bench().guard()
    body = stored(bench).body.replace('{"version":1', '{"version":99', 1)
    bench.store.commit(Change(CHECKOUT, stored(bench).version, body))
    with pytest.raises(StateTooNew):
        Bench(database=bench.database, remote=bench.remote, clock=bench.clock)
    assert stored(bench).body == body


def test_events_about_unknown_applications_and_closed_analyses_change_nothing() -> None:
    """What is not guarded is not taken; an answer that comes late for another analysis is passed over."""
    bench = Bench().guard()
    before = bench.rollout()
    assert not bench.reconciler.submit(CART, TimePassed())
    assert bench.reconciler.current(CART, Measure("x", spec(), 0.0, ())) is None
    assert bench.reconciler.submit(CHECKOUT, Observed("another", ()))
    assert bench.reconciler.submit(CHECKOUT, Refreshed())
    assert bench.rollout() == before


def test_what_a_cluster_has_is_written_once_it_is_known_what_it_runs() -> None:
    """That a policy names it is told again after a start; what was adopted is not."""
    found = replace(application(), source=replace(application().source, declared=("apps/checkout",)))
    bench = Bench([found])
    bench.reconciler.resume()
    bench.reconciler.submit(CHECKOUT, PolicyChanged("shop/checkout", spec()))
    assert bench.store.rollout(CHECKOUT) is None
    bench.guard()
    stored = bench.store.rollout(CHECKOUT)
    assert stored is not None
    assert load_rollout(stored.body).good is not None


def test_of_very_many_time_passes_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each beat takes its share of what is only looked at; after some beats every one had its turn."""
    monkeypatch.setattr(module, "MOST_PATIENT", 1)
    bench = Bench([application(), application(CART)]).guard()
    for key in (CHECKOUT, CART):
        bench.deploy("two", key)
    had: list[ApplicationKey] = []
    monkeypatch.setattr(bench.reconciler, "submit", lambda key, _event: had.append(key))
    for _ in range(4):
        bench.reconciler.tick()
    assert had in ([CHECKOUT, CART] * 2, [CART, CHECKOUT] * 2)


def test_applications_share_the_policy_that_they_have_alike() -> None:
    """Thousands are read at a start: one policy of all of them is held once."""
    bench = Bench([application(), application(CART)]).guard()
    bodies = [bench.store.rollout(key) for key in (CHECKOUT, CART)]
    one, other = (load_rollout(each.body).policy for each in bodies if each is not None)
    assert one is other
