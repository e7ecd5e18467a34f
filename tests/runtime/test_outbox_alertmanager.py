"""The outbox, the real store and a real Alertmanager together: open, repeated over a restart, and over."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

from controller.adapters.notify.alertmanager import AlertmanagerSink
from controller.adapters.store.sqlite import SqliteStore
from controller.core.alerts import Alert
from controller.runtime.courier import DeliveryOutcome
from controller.runtime.outbox import Outbox
from tests.fakes.sink import an_alert
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.receiver import Received, Receiver


class SystemClock:
    """The real time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


def _statuses(requests: list[Received]) -> list[str]:
    return [alert["status"] for request in requests for alert in json.loads(request.body)["alerts"]]


def _deliver(file: Path, url: str, alerts: list[Alert], attempts: int) -> None:
    """One process' life: raises the alerts, and ends after so many deliveries."""
    store, changed = SqliteStore(file), threading.Condition()
    outcomes: list[DeliveryOutcome] = []

    def told(_sink: str, outcome: DeliveryOutcome) -> None:
        with changed:
            outcomes.append(outcome)
            changed.notify_all()

    sink = AlertmanagerSink("on-call", url, SystemClock(), repeat_every=0.1)
    outbox = Outbox(store, [sink], SystemClock(), told=told)
    outbox.start()
    store.enqueue([("on-call", alert) for alert in alerts])
    outbox.notify()
    with changed:
        assert changed.wait_for(lambda: len(outcomes) >= attempts, 30)
    outbox.stop(20)
    store.close()
    assert set(outcomes) == {DeliveryOutcome.DELIVERED}


def test_people_hear_once_that_it_began_and_once_that_it_is_over(tmp_path: Path) -> None:
    """However often it is repeated in between, and although the controller was restarted."""
    file, alert = tmp_path / "state.db", an_alert(started_at=time.time() - 5)
    with Receiver() as people, AlertmanagerServer(tmp_path, webhook=people.url) as server:
        _deliver(file, server.url, [alert], 3)
        people.wait_for(lambda requests: _statuses(requests) == ["firing"])
        _deliver(file, server.url, [], 2)
        assert len(server.alerts()) == 1
        _deliver(file, server.url, [replace(alert, ended_at=time.time())], 1)
        people.wait_for(lambda requests: "resolved" in _statuses(requests))
        assert server.alerts() == []
        assert _statuses(people.requests) == ["firing", "resolved"]
    left = SqliteStore(file)
    assert left.outbox_pending() == 0
    left.close()
