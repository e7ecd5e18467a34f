"""The sending side against the real receiving side, and against servers that are none."""

import time
from pathlib import Path

import pytest

from controller.ports.gitops import SyncPhase
from controller.web.hook_client import Deployment, ReportNotSent, ReportRefused, post_report
from tests.servers.receiver import Behaviour, Receiver, answer, flood, free_port, hang, nonsense
from tests.web.conftest import REVISION, SECRET, HookSetting

DEPLOYMENT = Deployment("shop/checkout", REVISION, "Started")


@pytest.fixture
def now(setting: HookSetting) -> HookSetting:
    """The setting, with the clock at the real time, which the client uses."""
    setting.clock.set_wall(time.time())
    return setting


@pytest.mark.parametrize("path", ["", "/", "/hooks/deployed"])
def test_a_report_arrives(now: HookSetting, path: str) -> None:
    """The root or the hook itself: both lead there, and the receipt comes back."""
    assert post_report(now.server.url + path, SECRET, DEPLOYMENT) == 41
    (report,) = now.inbox.reports
    assert (str(report.application), report.revision, report.phase) == ("shop/checkout", REVISION, SyncPhase.STARTED)


def test_a_repeated_report_is_a_new_request(now: HookSetting) -> None:
    """Sending the same again, at once, is no replay: it is signed anew."""
    assert [post_report(now.server.url, SECRET, DEPLOYMENT) for _ in range(3)] == [41, 42, 43]


def test_a_refusal_says_why(now: HookSetting) -> None:
    """The controller's sentence reaches the pipeline's log; the secret does not."""
    with pytest.raises(ReportRefused, match="401: the signature is not") as caught:
        post_report(now.server.url, b"canary secret", DEPLOYMENT)
    assert "canary" not in str(caught.value)
    with pytest.raises(ReportRefused, match="404: no such application"):
        post_report(now.server.url, SECRET, Deployment("shop/other", REVISION))
    with pytest.raises(ReportRefused, match="400: revision must be"):
        post_report(now.server.url, SECRET, Deployment("shop/checkout", "HEAD"))


def test_an_outage_may_be_tried_again(now: HookSetting) -> None:
    """A full store, and nobody at all."""
    now.inbox.full = True
    with pytest.raises(ReportNotSent, match="503"):
        post_report(now.server.url, SECRET, DEPLOYMENT)
    with pytest.raises(ReportNotSent, match="cannot be reached"):
        post_report(f"http://127.0.0.1:{free_port()}", SECRET, DEPLOYMENT)


@pytest.mark.parametrize(
    "behave",
    [answer(200), answer(202), answer(202, b'{"receipt":"x"}'), answer(202, b"<html>"), answer(202, b"[1]"), flood],
)
def test_a_server_that_gives_no_receipt_is_no_controller(behave: Behaviour) -> None:
    """Only a receipt counts as received; an endless answer is not read to its end."""
    with Receiver(behave) as receiver, pytest.raises(ReportRefused):
        post_report(receiver.url, SECRET, DEPLOYMENT)


@pytest.mark.parametrize("behave", [hang, nonsense])
def test_a_server_that_does_not_answer_is_given_up(behave: Behaviour) -> None:
    """Silence and nonsense end in an error that says so."""
    with Receiver(behave) as receiver, pytest.raises(ReportNotSent):
        post_report(receiver.url, SECRET, DEPLOYMENT, timeout=0.2)


def test_redirects_are_not_followed() -> None:
    """A signed report goes nowhere else."""
    with Receiver() as elsewhere, Receiver(answer(307, Location=f"{elsewhere.url}/x")) as receiver:
        with pytest.raises(ReportRefused, match="redirects"):
            post_report(receiver.url, SECRET, DEPLOYMENT)
        assert elsewhere.requests == []


def test_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials of a netrc file, and no proxy, see the report."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with Receiver(answer(202, b'{"receipt": 7}')) as receiver:
        assert post_report(receiver.url, SECRET, DEPLOYMENT) == 7
        assert "authorization" not in receiver.requests[0].headers


@pytest.mark.parametrize("url", ["", "127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    """With the remedy."""
    with pytest.raises(ReportRefused, match="http"):
        post_report(url, SECRET, DEPLOYMENT)
