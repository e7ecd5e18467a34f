"""``rollguard lint``: what people, programs and pull requests get, and how it exits."""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from rich.console import Console
from typer.testing import CliRunner

from controller.adapters.policies.lint import Finding, Rule, Severity
from controller.cli import lint_report
from controller.cli.lint_report import LintFormat, Read, write_findings
from controller.cli.main import app
from tests.servers.prometheus import PrometheusServer

Lint: TypeAlias = Callable[..., Any]

GOOD = """\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {name: checkout, namespace: shop}
spec:
  application: {name: checkout}
  objectives:
    - name: availability
      target: "99.5"
      indicator:
        ratio:
          errors: {metric: 'requests_total{service="{{application}}",code="500"}'}
          total: {metric: 'requests_total{service="{{application}}"}'}
"""
BAD = GOOD.replace('"99.5"', "0.995")
DOUBTFUL = GOOD.replace('{service="{{application}}"}', "")


@pytest.fixture
def lint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lint:
    """Runs the command in an empty directory, without settings in the environment."""
    monkeypatch.delenv("ROLLGUARD_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, given: str | None = None) -> Any:
        return CliRunner().invoke(app, ["lint", *arguments], prog_name="rollguard", input=given)

    return invoke


def _write(name: str, text: str) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)
    return name


def test_good_policy_exits_0(lint: Lint) -> None:
    """Nothing to mend: the notes, a summary, exit 0."""
    result = lint(_write("good.yaml", GOOD))
    assert result.exit_code == 0
    assert result.output.endswith("1 policy: nothing to mend\n")


def test_warnings_alone_exit_0(lint: Lint) -> None:
    """A warning does not stop a pipeline."""
    result = lint(_write("doubtful.yaml", DOUBTFUL))
    assert result.exit_code == 0
    assert ": warning: " in result.output
    assert result.output.endswith("1 policy: 1 warning\n")


def test_errors_exit_1_and_name_file_line_and_column(lint: Lint) -> None:
    """In a pipe each finding is one line that editors and grep understand."""
    result = lint(_write("bad.yaml", BAD), _write("good.yaml", GOOD.replace("name: checkout", "name: cart")))
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == (
        "bad.yaml:8:7: error: spec.objectives[0].target: a target is per cent of good events, at least 50; "
        "0.995 is less; did you mean 99.5? [invalid]"
    )
    assert result.output.endswith("2 policies: 1 error\n")


def test_directory_and_standard_input(lint: Lint) -> None:
    """A directory is read as the controller reads it; ``-`` is standard input."""
    _write("policies/a.yaml", GOOD)
    _write("policies/b.yaml", "kind: ConfigMap\napiVersion: v1\n")
    result = lint("policies", "-", given=BAD.replace("{name: checkout, ", "{name: other, "))
    assert result.exit_code == 1
    assert "<stdin>:8:7: error" in result.output
    assert "2 policies: 1 error" in result.output


def test_same_policy_in_two_files_is_found(lint: Lint) -> None:
    """What the controller would refuse together is refused together here."""
    result = lint(_write("a.yaml", GOOD), _write("b.yaml", GOOD))
    assert result.exit_code == 1
    assert "a.yaml:3:12: error: metadata.name: shop/checkout is declared again at b.yaml:1" in result.output


@pytest.mark.parametrize("text", ["", "kind: Deployment\napiVersion: apps/v1\n"])
def test_file_without_a_policy_is_an_error(lint: Lint, text: str) -> None:
    """A pipeline that lints the wrong file must not be green."""
    result = lint(_write("empty.yaml", text))
    assert result.exit_code == 1
    assert "holds no SLOPolicy" in result.output


def test_wrong_use_exits_2(lint: Lint) -> None:
    """A missing file, no file, broken settings, --live without a place to ask: one sentence each."""
    missing = lint("missing.yaml")
    assert (missing.exit_code, missing.stderr) == (2, "rollguard: there is no file missing.yaml\n")
    assert lint().exit_code == 2
    live = lint(_write("good.yaml", GOOD), "--live")
    assert live.exit_code == 2
    assert "give --settings FILE or --prometheus URL" in live.stderr
    assert lint("good.yaml", "--settings", _write("settings.yaml", "metricsSources: 3\n")).exit_code == 2
    assert lint("good.yaml", "--live", "--prometheus", "ftp://nowhere").exit_code == 2


def test_json_is_for_programs(lint: Lint) -> None:
    """One document with counts and every field of each finding."""
    result = lint(_write("bad.yaml", BAD), "--output", "json")
    found = json.loads(result.output)
    assert (found["policies"], found["errors"], found["warnings"]) == (1, 1, 0)
    assert found["findings"] == [
        {
            "severity": "error",
            "rule": "invalid",
            "file": "bad.yaml",
            "line": 8,
            "column": 7,
            "policy": "shop/checkout",
            "path": "spec.objectives[0].target",
            "problem": "a target is per cent of good events, at least 50; 0.995 is less",
            "remedy": "did you mean 99.5?",
        }
    ]


def _finding(**changes: Any) -> Finding:
    values = {
        "severity": Severity.ERROR,
        "rule": Rule.INVALID,
        "file": "a,b:c.yaml",
        "line": 3,
        "column": 5,
        "policy": "shop/x",
        "path": "spec",
        "problem": "100% wrong\n::error::forged",
        "remedy": "",
    }
    return Finding(**(values | changes))


def test_github_annotations_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends, per cent signs, commas and colons are escaped as GitHub wants it."""
    write_findings([_finding(), _finding(severity=Severity.NOTE, problem="x")], Read(1), LintFormat.GITHUB)
    assert capsys.readouterr().out.splitlines() == [
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=rollguard invalid::spec: 100%25 wrong%0A::error::forged",
        "::notice file=a%2Cb%3Ac.yaml,line=3,col=5,title=rollguard invalid::spec: x",
        "1 policy: 1 error",
    ]


def test_text_cannot_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    """What came from a file adds no line and no colour."""
    write_findings([_finding(problem="red \x1b[31m\nb.yaml:1:1: error")], Read(1), LintFormat.TEXT)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in lines[0]


def test_terminal_gets_colours_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal findings stand under their file, with colours, and remedies on lines of their own."""
    screen = Console(file=StringIO(), force_terminal=True, color_system="standard", width=80, highlight=False)
    monkeypatch.setattr(lint_report, "console", lambda: screen)
    write_findings([_finding(file="a.yaml", problem="wrong", remedy="right")], Read(1), LintFormat.TEXT)
    shown = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[1;31merror" in shown
    assert "→ right" in shown
    assert "✗ 1 policy: 1 error" in shown


SETTINGS = """\
metricsSources:
  default: {prometheus: {url: "URL"}}
alertSinks:
  on-call: {alertmanager: {url: "http://127.0.0.1:9093"}}
applications:
  - {name: checkout, namespace: shop, repository: "file:///tmp/r", paths: [apps], labels: {team: shop}, reported: {}}
  - {name: cart, namespace: shop, repository: "file:///tmp/r", paths: [cart], labels: {team: shop}, reported: {}}
"""


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with PrometheusServer(tmp_path_factory.mktemp("lint")) as server:
        now = time.time() // 15 * 15
        times = [now - 4500 + 15 * number for number in range(301)]
        for code, growth in (("200", 150.0), ("500", 0.1)):
            labels = {"__name__": "requests_total", "service": "checkout", "code": code}
            server.push([(labels, [(at, growth * number) for number, at in enumerate(times)])])
        yield server.url


def test_live_by_settings(lint: Lint, prometheus: str) -> None:
    """With settings each application that the policy selects is asked for, and named."""
    settings = _write("settings.yaml", SETTINGS.replace("URL", prometheus))
    policy = GOOD.replace("{name: checkout}\n  obj", "{selector: {matchLabels: {team: shop}}}\n  obj")
    result = lint(_write("policy.yaml", policy), "--live", "--settings", settings)
    assert result.exit_code == 1
    assert "shop/checkout: availability: 10 events/s" in result.output
    assert 'shop/cart: no series requests_total{service="cart"}' in result.output


def test_live_without_settings(lint: Lint, prometheus: str) -> None:
    """A URL is enough; the application is the policy's own, or the one that is given."""
    policy = _write("policy.yaml", GOOD)
    own = lint(policy, "--live", "--prometheus", prometheus)
    assert own.exit_code == 0
    assert "10 events/s" in own.output
    other = lint(policy, "--live", "--prometheus", prometheus, "--application", "shop/cart")
    assert other.exit_code == 1
    selector = GOOD.replace("{name: checkout}\n  obj", "{selector: {matchLabels: {team: shop}}}\n  obj")
    unknown = lint(_write("policy.yaml", selector), "--live", "--prometheus", prometheus)
    assert unknown.exit_code == 0
    assert "give --application NAMESPACE/NAME" in unknown.output


def test_live_numbers_are_in_json(lint: Lint, prometheus: str) -> None:
    """Programs get the traffic, the baseline, what the window shows and takes, and what it costs, as numbers."""
    result = lint(_write("policy.yaml", GOOD), "--live", "--prometheus", prometheus, "--output", "json")
    (effect,) = (each["effect"] for each in json.loads(result.output)["findings"] if "effect" in each)
    assert effect["events_per_second"] == pytest.approx(10, rel=0.05)
    assert (effect["limit"], effect["wanted_share"], effect["window_seconds"]) == pytest.approx((0.005, 0.01, 1800))
    assert effect["budget_percent"] == pytest.approx(0.0694, rel=0.01)
    assert {"bad_share", "measured_seconds", "shown_share", "needed_seconds"} < effect.keys()


def test_references_are_checked_by_settings(lint: Lint) -> None:
    """Names that the settings do not have are errors, whether or not --live asks."""
    settings = _write("settings.yaml", SETTINGS.replace("URL", "http://127.0.0.1:1"))
    result = lint(
        _write("policy.yaml", GOOD + "  metrics: mimir\n  alerts: [pager]\n"), "--live", "--settings", settings
    )
    assert result.exit_code == 1
    assert "the settings name no metrics source mimir; there are default" in result.output
    assert "the settings name no alert sink pager; there are on-call" in result.output


def test_source_that_does_not_answer_exits_3(lint: Lint) -> None:
    """The checks are not complete, which is neither good nor bad."""
    result = lint(_write("good.yaml", GOOD), "--live", "--prometheus", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "the metrics source default did not answer" in result.output
