"""``GET /api/v1/rollouts``: what programs are told about every application."""

from dataclasses import replace

import pytest
import requests

from controller.core.application import Application, ApplicationKey, Content, GitSource, Revision
from controller.core.evidence import Evidence
from controller.core.judging import judge
from controller.core.recovery import judge_recovery
from controller.core.state import Analysis, AnalysisKind, Deployed, Good, Rollout, Standing, Sync
from controller.web import api
from controller.web.api import document, rollouts_route
from controller.web.server import WebServer, build_app
from tests.core.deployments import START, Traffic, after, evidence, policy

LIVE = Revision("a1" * 20)
CONTENT = Content((("apps/checkout", "d4" * 20),))
POLICY = policy(window="30m", interval="15s", warmUp="60s")


def rollout(name: str) -> Rollout:
    """An application of which nothing was seen yet."""
    source = GitSource("https://git.example.com/secret-path", "main", (f"apps/{name}",))
    return Rollout(Application(ApplicationKey("shop", name), source))


def analysing(kind: AnalysisKind, bad_share: float) -> tuple[Rollout, Evidence]:
    """One that is being judged, after 15 minutes."""
    known = evidence(Traffic().ticks((60, bad_share)))
    analysis = Analysis(
        id="a1a1a1a-1",
        kind=kind,
        policy_name="shop/checkout",
        policy=POLICY,
        syncs=(Sync(LIVE, CONTENT, START, START + 30),),
        before=Good(LIVE, CONTENT, Standing.VERIFIED, START),
        reference=known.reference,
        ticks=known.ticks,
        judgement=judge(POLICY, known, after(900)),
    )
    live = Deployed(LIVE, CONTENT, START)
    return replace(rollout("checkout"), analysis=analysis, live=live, good=analysis.before), known


def test_an_application_without_history_is_shown() -> None:
    """All fields are there, and empty."""
    (shown,) = document([rollout("cart")])["rollouts"]
    assert shown == {
        "application": "shop/cart",
        "phase": "Idle",
        "policy": None,
        "policy_error": None,
        "live": None,
        "last_good": None,
        "analysis": None,
        "rollback": None,
        "frozen": None,
        "alerts": [],
    }


def test_a_deployment_shows_the_evidence_that_it_breaches() -> None:
    """Evidence and threshold are the judgement's, and the objectives have their counts."""
    judged, _ = analysing(AnalysisKind.DEPLOYMENT, 0.1)
    analysis = document([judged])["rollouts"][0]["analysis"]
    assert judged.analysis is not None
    assert judged.analysis.judgement is not None
    assert analysis["evidence"] == judged.analysis.judgement.evidence > analysis["threshold"]
    assert analysis["threshold"] == pytest.approx(6.959, abs=0.001)
    (objective,) = analysis["objectives"]
    assert (objective["name"], objective["target"]) == ("availability", 99.0)
    assert objective["total"] > objective["bad"] > 0
    assert analysis["started_at"] == "2023-11-14T22:14:00.000Z"


def test_a_restore_shows_the_evidence_that_it_helped() -> None:
    """The evidence reaches the threshold when the judge says Recovered, and not before."""
    for bad_share, helped in ((0.001, True), (0.06, False)):
        judged, known = analysing(AnalysisKind.RECOVERY, bad_share)
        analysis = document([judged])["rollouts"][0]["analysis"]
        assert analysis["threshold"] == pytest.approx(2.996, abs=0.001)
        recovered = judge_recovery(POLICY, known, after(900)).kind == "Recovered"
        assert recovered is helped is (analysis["evidence"] >= analysis["threshold"])


def test_the_answer_is_bounded_and_tells_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order of names; how many were left out is said; the repository's URL is not."""
    monkeypatch.setattr(api, "MOST_ROLLOUTS", 2)
    server = WebServer(
        "127.0.0.1:0", build_app([rollouts_route(lambda: [rollout(name) for name in ("mail", "cart", "search")])])
    )
    server.start()
    try:
        response = requests.get(f"{server.url}/api/v1/rollouts", timeout=20)
        one = requests.get(f"{server.url}/api/v1/rollouts?application=shop/mail", timeout=20).json()
        none = requests.get(f"{server.url}/api/v1/rollouts?application=shop/gone", timeout=20).json()
        posted = requests.post(f"{server.url}/api/v1/rollouts", timeout=20).status_code
    finally:
        server.stop()
    assert [each["application"] for each in response.json()["rollouts"]] == ["shop/cart", "shop/mail"]
    assert response.json()["left_out"] == 1
    assert "secret-path" not in response.text
    assert [each["application"] for each in one["rollouts"]] == ["shop/mail"]
    assert none == {"rollouts": [], "left_out": 0}
    assert posted == 405
