"""Alertmanager, the real one: it fires once, keeps firing while repeated, and resolves."""

import json
import time
from pathlib import Path

import pytest

from controller.adapters.notify.alertmanager import HOLDS_FOR, AlertmanagerSink
from controller.core.alerts import AlertName
from tests.fakes.manual_clock import ManualClock
from tests.fakes.sink import an_alert
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.receiver import Received, Receiver


def _notified(requests: list[Received], status: str) -> list[dict[str, object]]:
    """The alerts of that status in what Alertmanager told its webhook."""
    groups = [json.loads(request.body) for request in requests]
    return [alert for group in groups for alert in group["alerts"] if alert["status"] == status]


def test_it_fires_once_and_resolves(tmp_path: Path) -> None:
    """People hear of it when it begins and when it is over, whatever the repetition in between."""
    began = time.time() - 30
    with Receiver() as people, AlertmanagerServer(tmp_path, webhook=people.url) as server:
        sink = AlertmanagerSink("on-call", server.url, ManualClock(time.time()))
        for _ in range(3):
            sink.deliver(an_alert(started_at=began))
        people.wait_for(lambda requests: bool(_notified(requests, "firing")))
        assert len(server.alerts()) == 1
        sink.deliver(an_alert(started_at=began, ended_at=time.time()))
        requests = people.wait_for(lambda requests: bool(_notified(requests, "resolved")))
        assert len(_notified(requests, "firing")) == 1
        assert server.alerts() == []


def test_labels_and_annotations_as_on_call_rules_expect(tmp_path: Path) -> None:
    """Labels identify, annotations tell; links become annotations of their names."""
    links = (("commit", "https://git.example.com/c/1"), ("runbook url", "https://docs.example.com/alerts"))
    with AlertmanagerServer(tmp_path) as server:
        sink = AlertmanagerSink("on-call", server.url, ManualClock(time.time()), labels={"cluster": "eu-1"})
        sink.deliver(an_alert(AlertName.BREAKER, started_at=time.time(), links=links))
        (alert,) = server.alerts()
    assert alert["labels"] == {
        "alertname": "RollguardBreaker",
        "application": "checkout",
        "namespace": "shop",
        "policy": "shop/checkout",
        "objective": "availability",
        "severity": "critical",
        "cluster": "eu-1",
    }
    assert alert["annotations"] == {
        "summary": "checkout was rolled back",
        "description": "93.1 % good, 99.5 % wanted",
        "analysis": "a1b2c3d4",
        "commit": "https://git.example.com/c/1",
        "runbook_url": "https://docs.example.com/alerts",
    }
    assert alert["generatorURL"] == "https://git.example.com/c/1"


def test_two_objectives_are_two_alerts(tmp_path: Path) -> None:
    """The identity of an alert is its labels: name, application, policy and objective."""
    with AlertmanagerServer(tmp_path) as server:
        sink = AlertmanagerSink("on-call", server.url, ManualClock(time.time()))
        for objective in ("availability", "latency", "availability"):
            sink.deliver(an_alert(objective=objective, started_at=time.time()))
        assert sorted(alert["labels"]["objective"] for alert in server.alerts()) == ["availability", "latency"]


def test_an_open_alert_ends_by_itself_when_nobody_repeats_it() -> None:
    """Its end lies in the future, further than four repetitions, and moves on with each."""
    clock = ManualClock()
    with Receiver() as receiver:
        sink = AlertmanagerSink("on-call", receiver.url, clock, repeat_every=60)
        sink.deliver(an_alert(started_at=clock.now()))
        clock.advance(60)
        sink.deliver(an_alert(started_at=clock.now() - 60))
        ends = [json.loads(request.body)[0]["endsAt"] for request in receiver.requests]
    assert HOLDS_FOR >= 4 * 60
    assert ends == ["2027-01-15T08:10:00.000Z", "2027-01-15T08:11:00.000Z"]


def test_a_closed_alert_never_ends_before_it_began() -> None:
    """Alertmanager refuses such an alert; a clock that was set back must not keep it open."""
    with Receiver() as receiver:
        sink = AlertmanagerSink("on-call", receiver.url, ManualClock())
        sink.deliver(an_alert(started_at=1_800_000_000.0, ended_at=1_700_000_000.0))
        (posted,) = json.loads(receiver.requests[0].body)
    assert posted["startsAt"] == posted["endsAt"] == "2027-01-15T08:00:00.000Z"


def test_the_token_is_read_at_each_use(tmp_path: Path) -> None:
    """A rotated token counts at once, and is told so that logs can mask it."""
    token, seen = tmp_path / "token", list[str]()
    with Receiver() as receiver:
        sink = AlertmanagerSink("on-call", receiver.url, ManualClock(), bearer_token_file=token, seen=seen.append)
        for text in ("first-token", "second-token\n"):
            token.write_text(text)
            sink.deliver(an_alert())
        assert [r.headers["authorization"] for r in receiver.requests] == [
            "Bearer first-token",
            "Bearer second-token",
        ]
    assert seen == ["first-token", "second-token"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alertmanager:9093",
        "ftp://a",
        "http://",
        "http://user:pass@a",
        "http://a b",
        "http://[::1",
        "http://a:x",
        "http://a/#x",
    ],
)
def test_a_url_that_cannot_work_is_refused_at_the_start(url: str) -> None:
    """The error names the sink, and repeats no credentials."""
    with pytest.raises(ValueError, match="on-call") as caught:
        AlertmanagerSink("on-call", url, ManualClock())
    assert "pass" not in str(caught.value)
