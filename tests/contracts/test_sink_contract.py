"""What every sink does, the real ones and the fake alike."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.adapters.notify.alertmanager import AlertmanagerSink
from controller.adapters.notify.chat import ChatSink
from controller.adapters.notify.webhook import WebhookSink
from controller.core.alerts import AlertName
from controller.ports.notify import Sink, SinkRefused, SinkUnavailable
from tests.fakes.manual_clock import ManualClock
from tests.fakes.sink import RecordingSink, an_alert
from tests.servers.alertmanager import AlertmanagerServer
from tests.servers.receiver import Behaviour, Receiver, answer, free_port, hang

CANARY = "canarysecretcanarysecret"


@dataclass
class Case:
    """A sink that works, how many deliveries its place has seen, and how to make sinks that do not work."""

    sink: Sink
    seen: Callable[[], int]
    at_port: Callable[[int], Sink]


def _secret(folder: Path, text: str) -> Path:
    file = folder / f"secret-{len(list(folder.iterdir()))}"
    file.write_text(text)
    return file


def _alertmanager(folder: Path, port: int) -> Sink:
    file = _secret(folder, CANARY)
    url = f"http://127.0.0.1:{port}"
    return AlertmanagerSink("sink", url, ManualClock(), bearer_token_file=file, deadline=2.0)


def _webhook(folder: Path, port: int) -> Sink:
    return WebhookSink(
        "sink", f"http://127.0.0.1:{port}/{CANARY}", _secret(folder, CANARY), ManualClock(), deadline=2.0
    )


def _chat(folder: Path, port: int) -> Sink:
    return ChatSink("sink", _secret(folder, f"mmost://127.0.0.1:{port}/{CANARY}"), deadline=2.0)


MAKERS = {"webhook": _webhook, "chat": _chat}


@contextmanager
def _case(kind: str, folder: Path) -> Iterator[Case]:
    if kind == "alertmanager":
        with AlertmanagerServer(folder) as server:
            sink = _alertmanager(folder, server.port)
            yield Case(sink, lambda: len(server.alerts()), lambda port: _alertmanager(folder, port))
    elif kind == "fake":
        recording = RecordingSink("sink")
        yield Case(recording, lambda: len(recording.accepted), _broken_fake)
    else:
        with Receiver() as receiver:
            sink = MAKERS[kind](folder, receiver.port)
            yield Case(sink, lambda: len(receiver.requests), lambda port: MAKERS[kind](folder, port))


def _broken_fake(_port: int) -> Sink:
    broken = RecordingSink("sink")
    broken.down = SinkUnavailable("down")
    return broken


@pytest.fixture(params=["alertmanager", "webhook", "chat", "fake"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    with _case(request.param, tmp_path) as made:
        yield made


def test_it_has_a_name_and_says_whether_it_forgets(case: Case) -> None:
    """The outbox needs the name, and the time after which an open alert must be repeated."""
    assert case.sink.name == "sink"
    assert case.sink.repeat_every is None or case.sink.repeat_every > 0


def test_it_returns_when_the_alert_was_accepted(case: Case) -> None:
    """After deliver, the other side has it: nothing is queued inside a sink."""
    before = case.seen()
    case.sink.deliver(an_alert())
    assert case.seen() == before + 1


def test_delivering_twice_is_harmless(case: Case) -> None:
    """At least once means that twice must be right, too."""
    case.sink.deliver(an_alert())
    case.sink.deliver(an_alert())
    assert case.seen() >= 1


def test_every_alert_is_accepted_open_and_over(case: Case) -> None:
    """No alert has a form that a sink refuses."""
    for name in AlertName:
        case.sink.deliver(an_alert(name))
        case.sink.deliver(an_alert(name, ended_at=1_800_000_100.0))


def test_hostile_text_is_delivered(case: Case) -> None:
    """Whatever a commit's subject holds, the alert gets through."""
    nasty = "\x00\x1b[31m<script>&amp;\ud800\u202e\u2028 @everyone [a](http://b) " + "x" * 200_000
    links = ((nasty[:200], nasty), ("1 commit", "https://git.example.com/c/1"), ("", "x"))
    case.sink.deliver(an_alert(summary=nasty, description=nasty, objective=nasty[:300], links=links))
    assert case.seen() >= 1


def test_an_unreachable_place_is_unavailable(case: Case) -> None:
    """Nobody listens: asking later may help, and the error names no secret."""
    with pytest.raises(SinkUnavailable) as caught:
        case.at_port(free_port()).deliver(an_alert())
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value)
    assert len(str(caught.value)) <= 300


REAL = {"alertmanager": _alertmanager, **MAKERS}


@pytest.mark.parametrize("kind", list(REAL))
@pytest.mark.parametrize("behave", [answer(500), answer(503), answer(429), hang], ids=["500", "503", "429", "hang"])
def test_a_troubled_server_is_unavailable(kind: str, behave: Behaviour, tmp_path: Path) -> None:
    """5xx, too many requests and silence: asking later may help; a hanging server is not waited for."""
    with Receiver(behave) as receiver, pytest.raises(SinkUnavailable) as caught:
        REAL[kind](tmp_path, receiver.port).deliver(an_alert())
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("kind", list(REAL))
def test_redirects_are_not_followed(kind: str, tmp_path: Path) -> None:
    """A redirect must not lead a signed or authorised request elsewhere."""
    with Receiver() as elsewhere, Receiver(answer(307, Location=f"{elsewhere.url}/else")) as receiver:
        with pytest.raises((SinkRefused, SinkUnavailable)):
            REAL[kind](tmp_path, receiver.port).deliver(an_alert())
        assert len(receiver.requests) == 1
        assert elsewhere.requests == []


@pytest.mark.parametrize("kind", list(REAL))
def test_secrets_are_in_no_representation(kind: str, tmp_path: Path) -> None:
    """A sink in a log line shows nothing of what it holds."""
    assert CANARY not in repr(REAL[kind](tmp_path, 1))


@pytest.mark.parametrize("kind", list(REAL))
def test_a_missing_secret_file_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    """The error says which file is missing; a file that comes later is used without a restart."""
    with Receiver() as receiver:
        sink = REAL[kind](tmp_path, receiver.port)
        file = next(path for path in tmp_path.iterdir() if path.name.startswith("secret-"))
        content = file.read_text()
        file.unlink()
        with pytest.raises(SinkRefused, match=file.name):
            sink.deliver(an_alert())
        file.write_text(content)
        sink.deliver(an_alert())
        assert len(receiver.requests) == 1
