"""Apprise: only known services, escaped text, bounded waiting, and no URL in anything that is written."""

import json
import logging
from pathlib import Path

import pytest

from controller.adapters.notify.chat import MOST_HANGING, ChatSink, message
from controller.core.alerts import AlertName
from controller.ports.notify import SinkRefused, SinkUnavailable
from tests.fakes.sink import an_alert
from tests.servers.receiver import Receiver, answer, drip, free_port

TOKEN = "canarytokencanarytoken12"


def _sink(folder: Path, *urls: str, deadline: float = 5.0) -> ChatSink:
    file = folder / "urls"
    file.write_text("# people\n\n" + "\n".join(urls) + "\n")
    return ChatSink("chat", file, deadline=deadline)


def _mattermost(port: int) -> str:
    return f"mmost://127.0.0.1:{port}/{TOKEN}"


def test_every_service_of_the_file_is_told(tmp_path: Path) -> None:
    """One delivery, all lines; comments and empty lines are none."""
    with Receiver() as one, Receiver() as other:
        _sink(tmp_path, _mattermost(one.port), f"gotify://127.0.0.1:{other.port}/abcdefghijklmno").deliver(an_alert())
        assert len(one.requests) == len(other.requests) == 1
        assert "RollguardRolledBack" in json.loads(one.requests[0].body)["text"]
        assert "https://" not in one.requests[0].body.decode()


def test_one_failing_service_fails_the_delivery(tmp_path: Path) -> None:
    """Then all are told again: twice is harmless, never is not."""
    with Receiver() as well, pytest.raises(SinkUnavailable):
        _sink(tmp_path, _mattermost(well.port), _mattermost(free_port())).deliver(an_alert())


@pytest.mark.parametrize(
    "url",
    [
        "syslog://",
        "dbus://",
        "macosx://",
        "json://127.0.0.1:1/",
        "apprise://127.0.0.1:1/token",
        "x://a/b/c/d",
        "file:///etc/passwd",
        "nonsense-canary",
        "mmost://",
    ],
)
def test_other_services_are_refused(tmp_path: Path, url: str) -> None:
    """What runs commands, writes here, or posts to the public cannot be configured; the URL is not repeated."""
    with pytest.raises(SinkRefused, match="URL 1 of file") as caught:
        _sink(tmp_path, url).deliver(an_alert())
    assert url not in str(caught.value)


@pytest.mark.parametrize("urls", [(), ("mmost://a/b",) * 17], ids=["none", "too many"])
def test_a_file_without_sensible_urls_is_refused(tmp_path: Path, urls: tuple[str, ...]) -> None:
    """The error names the file and what it must hold."""
    with pytest.raises(SinkRefused, match="between 1 and 16"):
        _sink(tmp_path, *urls).deliver(an_alert())


def test_nothing_of_a_url_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not by us and not by the library, at any level, whether it works or fails."""
    caplog.set_level(logging.DEBUG)
    with Receiver(answer(500)) as receiver, pytest.raises(SinkUnavailable) as caught:
        _sink(tmp_path, _mattermost(receiver.port)).deliver(an_alert())
    with Receiver() as receiver:
        _sink(tmp_path, _mattermost(receiver.port)).deliver(an_alert())
    assert TOKEN not in caplog.text + str(caught.value) + repr(caught.value.__cause__)
    assert str(receiver.port) not in str(caught.value)


def test_the_urls_are_told_to_whoever_masks_logs(tmp_path: Path) -> None:
    """Each URL is a secret, and so is a token in it."""
    seen: list[str] = []
    with Receiver() as receiver:
        file = tmp_path / "urls"
        file.write_text(_mattermost(receiver.port))
        ChatSink("chat", file, seen=seen.append).deliver(an_alert())
        assert _mattermost(receiver.port) in seen
        assert TOKEN in seen


def test_hanging_deliveries_do_not_pile_up(tmp_path: Path) -> None:
    """A service that drips is left behind at the deadline; after three of them no more are begun."""
    with Receiver(drip) as receiver:
        sink = _sink(tmp_path, _mattermost(receiver.port), deadline=0.2)
        for _ in range(MOST_HANGING):
            with pytest.raises(SinkUnavailable):
                sink.deliver(an_alert())
        asked = len(receiver.requests)
        with pytest.raises(SinkUnavailable):
            sink.deliver(an_alert())
        assert len(receiver.requests) <= asked + 1


def test_people_are_not_called_by_a_commit_subject() -> None:
    """No mention, no hidden link and no tag survives; the words do."""
    title, body = message(
        an_alert(summary="fix <!channel> @everyone [safe](http://evil) <b>", description="p < 0.01")
    )
    assert title == "Warning: RollguardRolledBack shop/checkout"
    for bad in ("<!", "@everyone", "](", "<b>"):
        assert bad not in body
    assert "everyone" in body
    assert "p < 0.01" in body


def test_a_resolved_alert_says_so() -> None:
    """The first word tells how urgent it is."""
    assert message(an_alert(AlertName.BREAKER))[0].startswith("Critical: ")
    assert message(an_alert(AlertName.BREAKER, ended_at=1_800_000_001.0))[0].startswith("Resolved: ")
