"""``rollguard backtest``: past deployments, judged by a real Prometheus' history and a real Git repository."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from controller.cli import backtest_report
from controller.cli.main import app
from tests.servers.git import GitRemote
from tests.servers.prometheus import PrometheusServer

Backtest: TypeAlias = Callable[..., Any]

HOUR = 3600.0
STEP = 15.0
POLICY = """\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {name: checkout, namespace: shop}
spec:
  application: {name: checkout}
  objectives:
    - name: availability
      target: "99"
      indicator:
        ratio:
          errors: {metric: 'requests_total{service="{{application}}",code="500"}'}
          total: {metric: 'requests_total{service="{{application}}"}'}
"""
SETTINGS = """\
metricsSources:
  default: {{prometheus: {{url: "{url}"}}}}
applications:
  - {{name: checkout, namespace: shop, repository: {repository}, paths: [apps/checkout], labels: {{t: a}}, reported: {{}}}}
  - {{name: cart, namespace: shop, repository: {repository}, paths: [apps/cart], labels: {{t: a}}, reported: {{}}}}
"""


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Past:
    """A day of a service with 10 requests a second: a good deployment, a bad one, and what mended it."""

    url: str
    good: float
    bad: float
    mended: float
    after: float

    @property
    def now(self) -> float:
        return self.after + 2 * HOUR


def push(server: PrometheusServer, service: str, now: float, share: Callable[[float], float | None]) -> None:
    """28 hours of 10 requests a second; ``share`` says how many are bad at a time, None: they are not told any more."""
    counts, samples = {"200": 0.0, "500": 0.0}, {"200": [], "500": []}
    for number in range(int(28 * HOUR / STEP)):
        at = now - 28 * HOUR + STEP * number
        bad = share(at)
        counts["500"] += 150 * (bad or 0.0)
        counts["200"] += 150 * (1 - (bad or 0.0))
        samples["200"].append((at, counts["200"]))
        if bad is not None:
            samples["500"].append((at, counts["500"]))
    labels = {"__name__": "requests_total", "service": service}
    server.push([({**labels, "code": code}, each) for code, each in samples.items()])


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    now = time.time() // STEP * STEP
    with PrometheusServer(tmp_path_factory.mktemp("past")) as server:
        found = Past(server.url, now - 6 * HOUR, now - 4 * HOUR, now - 3.75 * HOUR, now - 2 * HOUR)
        push(server, "checkout", now, lambda at: 0.1 if found.bad < at <= found.mended else 0.001)
        push(server, "cart", now, lambda at: 0.1 if -10 < (at - now) / HOUR <= -7 or at > now - 6 * HOUR else 0.001)
        push(server, "rest", now, lambda at: 0.1 if found.bad < at <= found.mended else 0.002)
        push(server, "lost", now, lambda at: None if at > found.bad else 0.008)
        yield found


@pytest.fixture
def backtest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, past: Past) -> Backtest:
    """Runs the command in an empty directory, without settings in the environment."""
    monkeypatch.delenv("ROLLGUARD_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkout.yaml").write_text(POLICY)

    def invoke(*arguments: str, policy: str = "checkout.yaml", url: str = past.url, given: str | None = None) -> Any:
        asked = ["backtest", "--policy", policy, "--prometheus", url, *arguments]
        return CliRunner().invoke(app, asked, prog_name="rollguard", input=given, env={"COLUMNS": "80"})

    return invoke


def _listed(past: Past) -> str:
    entries = [("good", past.good), ("bad", past.bad), ("mended", past.mended), ("after", past.after)]
    return "".join(json.dumps({"revision": name, "at": iso(at)}) + "\n" for name, at in entries)


def test_a_bad_deployment_is_told_from_good_ones(backtest: Backtest, past: Past) -> None:
    """The bad one is Breached within minutes, what it would have saved is counted, and the others are Healthy."""
    result = backtest("--deployments", "-", "--output", "json", given=_listed(past))
    assert result.exit_code == 1, result.output
    found = json.loads(result.stdout)
    verdicts = {each["deployments"][-1]["revision"]: each["verdict"] for each in found["analyses"]}
    assert verdicts == {"good": "Healthy", "bad": "Breached", "mended": "Healthy", "after": "Healthy"}
    (bad,) = (each for each in found["analyses"] if each["verdict"] == "Breached")
    assert bad["rolled_back"] is True
    assert 60 < bad["decided_after"] < 300
    left = 900 - bad["decided_after"]
    assert bad["bad_saved"] == pytest.approx(10 * left * 0.099, rel=0.05)
    assert found["totals"]["rolled_back"] == 1
    assert found["totals"]["deployments"] == 4


def test_text_is_a_table_of_80_columns_or_a_line_a_deployment(
    backtest: Backtest, past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe each deployment is one line; on a terminal no line is wider than 80 columns, and plots are drawn."""
    Path("deployed.jsonl").write_text(_listed(past))
    piped = backtest("--deployments", "deployed.jsonl")
    assert piped.exit_code == 1
    (line,) = (each for each in piped.stdout.splitlines() if each.split()[2:3] == ["bad"])
    assert "Breached" in line
    assert "availability 9" in line
    assert "4 deployments: 1 Breached, 3 Healthy\n1 would have been rolled back, " in piped.stdout
    assert "saved: bad events of the objective that decided, from the decision until" in piped.stdout
    screen = Console(file=StringIO(), force_terminal=True, width=80, highlight=False, markup=False)
    monkeypatch.setattr(backtest_report, "console", lambda: screen)
    assert backtest("--deployments", "deployed.jsonl", "--plots").exit_code == 1
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    until_totals = lines[: next(number for number, each in enumerate(lines) if "4 deployments" in each)]
    assert max(len(Text.from_ansi(each).plain) for each in until_totals) <= 80
    assert sum("evidence against the deployment (ln E)" in each for each in lines) == 4


def test_commits_are_deployments(backtest: Backtest, past: Past, tmp_path: Path) -> None:
    """Commits of the branch that change the application's paths are judged; others, older ones, side lines are not."""
    remote = GitRemote(tmp_path / "shop.git")
    remote.commit({"apps/checkout/a.yaml": "0"}, at=int(past.good - 90 * 86400))
    remote.commit({"apps/checkout/a.yaml": "1"}, "Speed up", at=int(past.good))
    remote.commit({"apps/cart/a.yaml": "1"}, at=int(past.good + 60))
    side = remote.commit(
        {"apps/checkout/a.yaml": "2"}, branch="side", parents=[remote.head()], at=int(past.bad - 600)
    )
    merged = remote.merge(side, {"apps/checkout/a.yaml": "2"}, "Merge side", at=int(past.bad))
    result = backtest("--repository", str(tmp_path / "shop.git"), "--path", "apps/checkout/", "--output", "json")
    assert result.exit_code == 1, result.output
    found = [(each["deployments"], each["verdict"]) for each in json.loads(result.stdout)["analyses"]]
    assert [(one["subject"], verdict) for (one,), verdict in found] == [
        ("Speed up", "Healthy"),
        ("Merge side", "Breached"),
    ]
    assert found[1][0][0]["revision"] == merged


def test_the_settings_say_where_and_what(backtest: Backtest, past: Past, tmp_path: Path) -> None:
    """With settings the metrics source, the repository and the paths need not be said; one application is chosen."""
    remote = GitRemote(tmp_path / "shop.git")
    remote.commit({"apps/checkout/a.yaml": "1"}, at=int(past.good))
    Path("rollguard.yaml").write_text(SETTINGS.format(url=past.url, repository=remote.url))
    given = ["backtest", "--policy", "checkout.yaml", "--since", "7d", "--output", "json"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["totals"]["verdicts"] == {"Healthy": 1}
    Path("several.yaml").write_text(POLICY.replace("{name: checkout}\n  o", "{selector: {matchLabels: {t: a}}}\n  o"))
    several = CliRunner().invoke(app, ["backtest", "--policy", "several.yaml"])
    assert several.exit_code == 2
    assert "several applications (shop/checkout, shop/cart): say which with --application" in several.stderr


def test_deployments_in_one_window_are_one_chain(backtest: Backtest, past: Past) -> None:
    """What is deployed into an open window is judged together with what opened it, as the controller does."""
    at = past.good
    Path("deployed.yaml").write_text(
        f"- {{revision: first, at: {iso(at)}, healthy_at: {iso(at + 60)}}}\n- {{revision: second, at: {at + 600:.0f}}}\n"
        f"- {{revision: third, at: {iso(at + 3600)}, healthy_at: null}}\n"
    )
    result = backtest("--deployments", "deployed.yaml", "--output", "json")
    assert result.exit_code == 0, result.output
    chain, alone = json.loads(result.stdout)["analyses"]
    assert [each["revision"] for each in chain["deployments"]] == ["first", "second"]
    assert chain["decided_after"] == 600 + 1800
    assert (alone["verdict"], alone["reason"]) == ("Inconclusive", "NeverHealthy")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"revision": "x", "at": 1790000000}\n{"revision": "y"}\n', "a.jsonl:2: at is missing"),
        ("a.jsonl", '{"revision": "x", "at": "yesterday"}\n', "a.jsonl:1: at: 'yesterday' is no time"),
        ("a.jsonl", '{"revision": "x", "att": 1}\n', 'a.jsonl:1: a deployment has no field "att"; did you mean at?'),
        ("a.jsonl", '{"revision": "x", "at": 10, "until": 9}\n', "a.jsonl:1: until is before at"),
        ("a.jsonl", '\n{"revision": \n', "a.jsonl:2: this is no JSON"),
        (
            "a.yaml",
            "- {revision: x, at: 10}\n- {revision: [1], at: 10}\n",
            "a.yaml:2: revision is [1], and must be text",
        ),
        ("a.yaml", "deployments:\n- x\n", "a.yaml:1: this is no list of deployments"),
        ("a.yaml", "- {revision: x, at: 10\n", "a.yaml:2: not valid YAML"),
        ("a.yaml", "", "a.yaml: lists no deployment"),
    ],
)
def test_a_broken_list_is_refused(backtest: Backtest, name: str, text: str, said: str) -> None:
    """A broken entry is named by file and line, and nothing is judged."""
    Path(name).write_text(text)
    result = backtest("--deployments", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_wrong_use_exits_2(backtest: Backtest) -> None:
    """A missing file, branch, folder or source of deployments: one sentence each."""
    GitRemote(Path.cwd() / "shop.git").commit({"a": "1"})
    said = {
        ("--deployments", "missing.jsonl"): "there is no file missing.jsonl",
        (): "the settings declare no application shop/checkout",
        ("--repository", "missing"): "there is no folder missing",
        ("--repository", "shop.git", "--branch", "live"): "has no branch live",
        ("--repository", "shop.git", "--path", "../x"): "is not a path in a repository",
        ("--deployments", "x", "--repository", "shop.git"): "give either",
    }
    for arguments, sentence in said.items():
        result = backtest(*arguments)
        assert (result.exit_code, sentence in result.stderr) == (2, True), (arguments, result.stderr)
    assert "give --policy FILE" in CliRunner().invoke(app, ["backtest"]).stderr


def test_nothing_deployed_is_a_sentence(backtest: Backtest, tmp_path: Path) -> None:
    """Where no deployment is found, it is said where it was looked, and nothing failed."""
    GitRemote(tmp_path / "shop.git").commit({"a": "1"})
    result = backtest("--repository", "shop.git", "--path", "apps/checkout")
    assert result.exit_code == 0
    assert "no deployment began in this time; looked in file://" in result.stdout


def test_a_prometheus_that_is_down_exits_3(backtest: Backtest, past: Past) -> None:
    """Without an answer nothing is judged, and the sentence says who did not answer."""
    result = backtest("--deployments", "-", url="http://127.0.0.1:1", given=_listed(past))
    assert (result.exit_code, result.stdout) == (3, "")
    assert "the Prometheus of --prometheus did not answer: no connection" in result.stderr


def test_what_prometheus_has_forgotten_is_inconclusive(backtest: Backtest, past: Past) -> None:
    """A deployment from before the history is told as such, and never as good."""
    old = json.dumps({"revision": "old", "at": iso(past.good - 10 * 86400)})
    result = backtest("--deployments", "-", "--output", "json", given=old)
    (only,) = json.loads(result.stdout)["analyses"]
    assert (result.exit_code, only["verdict"], only["reason"]) == (0, "Inconclusive", "NoData")


def test_a_breach_is_no_measure_of_what_comes_after_it(backtest: Backtest, past: Past) -> None:
    """Three hours that a bad deployment was left broken are cut out: the next one that is as bad is Breached too."""
    times = {"bad": past.now - 10 * HOUR, "mended": past.now - 7 * HOUR, "bad again": past.now - 6 * HOUR}
    listed = "".join(json.dumps({"revision": name, "at": at}) + "\n" for name, at in times.items())
    asked = ("--application", "shop/cart", "--output", "json", "--deployments", "-")
    together = json.loads(backtest(*asked, given=listed).stdout)["analyses"]
    assert [each["verdict"] for each in together] == ["Breached", "Healthy", "Breached"]
    alone = json.loads(backtest(*asked, given=listed.splitlines()[2]).stdout)["analyses"]
    assert [(each["verdict"], each["reason"]) for each in alone] == [("Hold", "BreachedBefore")]


def test_what_goes_wrong_elsewhere_too_is_not_the_deployments_fault(backtest: Backtest, past: Past) -> None:
    """Declared controls are measured before and since: an outage that they share is a Hold, and rolls nothing back."""
    control = """\
  controls:
    - name: rest
      indicator:
        ratio:
          errors: {metric: 'requests_total{service="rest",code="500"}'}
          total: {metric: 'requests_total{service="rest"}'}
"""
    Path("controlled.yaml").write_text(POLICY + control)
    listed = json.dumps({"revision": "bad", "at": past.bad, "until": past.mended})
    asked = ("--deployments", "-", "--output", "json")
    (alone,) = json.loads(backtest(*asked, given=listed).stdout)["analyses"]
    (shared,) = json.loads(backtest(*asked, policy="controlled.yaml", given=listed).stdout)["analyses"]
    assert (alone["verdict"], alone["evidence"]["controls"]) == ("Breached", None)
    assert shared["verdict"] == "undecided"
    assert shared["reason"] == "SharedWithControls"
    assert shared["evidence"]["controls"] < shared["evidence"]["slo"]


def test_errors_that_are_told_no_more_are_not_good_news(backtest: Backtest, past: Past) -> None:
    """Where errors should have been seen by now and their series are gone, nothing good is said, as in the controller."""
    listed = json.dumps({"revision": "renamed", "at": past.bad})
    result = backtest("--application", "shop/lost", "--output", "json", "--deployments", "-", given=listed)
    (only,) = json.loads(result.stdout)["analyses"]
    assert (only["verdict"], only["reason"]) == ("Inconclusive", "SelectorLost")


def test_what_is_not_over_is_undecided(backtest: Backtest, past: Past) -> None:
    """A deployment whose window is open has no verdict yet, and one that was taken back is judged until then."""
    young = {"revision": "young", "at": past.now - 300}
    taken = {"revision": "taken back", "at": past.good, "until": past.good + 600}
    listed = f"{json.dumps(taken)}\n{json.dumps(young)}\n"
    found = json.loads(backtest("--deployments", "-", "--output", "json", given=listed).stdout)
    assert [each["verdict"] for each in found["analyses"]] == ["undecided", "undecided"]
    assert found["analyses"][0]["looks"] == (600 - 60) / STEP
    assert found["totals"]["verdicts"] == {"undecided": 2}
    new = json.dumps({"revision": "new", "at": past.now})
    drawn = backtest("--deployments", "-", "--plots", given=new)
    assert drawn.exit_code == 0
    assert "new: undecided\n  nothing was measured" in drawn.stdout


def test_interrupted_it_ends_at_once(backtest: Backtest, past: Past) -> None:
    """Ctrl-C while a server is waited for: one word on standard error, nothing on standard output, exit 130."""
    Path("deployed.jsonl").write_text(_listed(past))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ["--policy", "checkout.yaml", "--prometheus", url, "--deployments", "deployed.jsonl"]
        running = subprocess.Popen(
            [sys.executable, "-m", "controller", "backtest", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            running.send_signal(signal.SIGINT)
            out, error = running.communicate(timeout=30)
    assert (running.returncode, out, error) == (130, b"", b"interrupted\n")
