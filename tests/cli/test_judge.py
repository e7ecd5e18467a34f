"""``rollguard judge``: what goes in, what comes out, and how it exits."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from controller.cli import progress
from controller.cli.main import app
from controller.cli.progress import Progress
from controller.core.traces import LONGEST_LINE
from tests.core.recordings import AVAILABILITY, Written

Judge: TypeAlias = Callable[..., Any]
FIELDS = ["trace", "verdict", "rollback", "decided_at", "passed_at", "objective", "reason", "sentence", "bad_served"]
FIELDS += ["looks", "evidence"]
WINDOW = 1800
CHAPTER = (Path(__file__).parents[2] / "docs" / "traces.md").read_text(encoding="utf-8")

POLICY = """\
apiVersion: rollguard.dev/v1alpha1
kind: SLOPolicy
metadata: {name: checkout, namespace: shop}
spec:
  application: {name: checkout}
  mode: Shadow
  objectives:
    - name: availability
      target: "99"
      indicator: {ratio: {errors: {metric: 'requests_total{code="500"}'}, total: {metric: requests_total}}}
"""
SPEC = 'mode: Shadow\nobjectives: [{name: availability, target: "99", indicator: {ratio: {}}}]\n'


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Judge:
    """Runs the command in an empty directory."""
    monkeypatch.delenv("ROLLGUARD_SETTINGS", raising=False)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, given: bytes | None = None) -> Any:
        return CliRunner().invoke(app, ["judge", *arguments], prog_name="rollguard", input=given)

    return invoke


def good(name: str = "good") -> Written:
    return Written(name=name).before().add(0.001, 0, WINDOW)


def bad(name: str = "bad") -> Written:
    return Written(name=name).before().add(0.05, 0, WINDOW)


def saved(name: str, *traces: Written) -> str:
    """Writes traces into one file."""
    Path(name).write_bytes(b"".join(line for each in traces for line in each.lines))
    return name


def verdicts(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_line_comes_out_for_each_trace(judge: Judge) -> None:
    """Several traces in a file, and several files, in their order; a breach is exit 1."""
    result = judge(saved("one.jsonl", good("a"), bad("b")), saved("two.jsonl", good("c")))
    found = verdicts(result)
    assert [(each["trace"], each["verdict"]) for each in found] == [
        ("a", "Healthy"),
        ("b", "Breached"),
        ("c", "Healthy"),
    ]
    assert (result.exit_code, result.stderr) == (1, "")
    assert all(list(each) == FIELDS for each in found)
    assert found[1]["evidence"] == {"slo": 9.925712, "baseline": 25.40442, "controls": None}
    assert '"decided_at": 90, "passed_at": null' in result.stdout


def test_nothing_breached_is_exit_0(judge: Judge) -> None:
    """Hold, Healthy and Inconclusive are no breach."""
    held = Written(name="held").before(0.05).add(0.05, 0, WINDOW)
    result = judge(saved("traces.jsonl", good(), held, Written(name="short").add(0.001, 0, 90)))
    assert [each["verdict"] for each in verdicts(result)] == ["Healthy", "Hold", "Inconclusive"]
    assert result.exit_code == 0


def test_standard_input(judge: Judge) -> None:
    """A dash reads what is piped in."""
    result = judge("-", given=b"".join(bad().lines))
    assert (verdicts(result)[0]["verdict"], result.exit_code) == ("Breached", 1)


@pytest.mark.parametrize("policy", [POLICY, SPEC, json.dumps({"objectives": [AVAILABILITY], "mode": "Shadow"})])
def test_a_policy_of_ones_own(judge: Judge, policy: str) -> None:
    """It overrides the traces' policies, and serves those without; an SLOPolicy or its declaration alone."""
    Path("policy.yaml").write_text(policy)
    bare = bad("bare")
    lines = [json.dumps({"trace": "bare", "interval": 15}).encode() + b"\n", *bare.lines[1:]]
    Path("bare.jsonl").write_bytes(b"".join(lines))
    result = judge("--policy", "policy.yaml", saved("own.jsonl", bad("own")), "bare.jsonl")
    told = [(each["trace"], each["verdict"], each["rollback"]) for each in verdicts(result)]
    assert told == [("own", "Breached", False), ("bare", "Breached", False)]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (POLICY.replace('"99"', '"9"'), "policy.yaml:9: spec.objectives[0].target: "),
        (POLICY + "---\n" + POLICY.replace("checkout", "cart"), "holds 2 policies; --policy wants exactly one"),
        ("kind: Deployment\napiVersion: apps/v1\n", "holds no policies; --policy wants exactly one"),
        (SPEC.replace('"99"', "0.99"), "policy.yaml:2: objectives[0].target: "),
        ("objectives: [", "policy.yaml:1"),
        ("{}", "policy.yaml:1"),
    ],
)
def test_a_policy_that_is_no_good(judge: Judge, policy: str, said: str) -> None:
    """It is refused before any trace is read."""
    Path("policy.yaml").write_text(policy)
    result = judge("--policy", "policy.yaml", saved("traces.jsonl", good()))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_broken_line_is_named(judge: Judge) -> None:
    """Exit 2, with file and line; what stood before it has been judged, its own trace has no verdict."""
    traces = good("first").lines + good("second").lines
    traces[-1] = b'{"t": 1800, "objective": "availability", "bad": 151, "total": 150}\n'
    Path("traces.jsonl").write_bytes(b"".join(traces))
    result = judge("traces.jsonl", saved("other.jsonl", good("other")))
    assert result.exit_code == 2
    assert result.stderr == f"rollguard: traces.jsonl:{len(traces)}: 151 bad of 150 events\n"
    assert [each["trace"] for each in verdicts(result)] == ["first"]
    assert judge("-", given=b"nonsense").stderr.startswith("rollguard: <stdin>:1: this is no JSON")


def test_a_line_without_end_is_not_read_to_its_end(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is longer than a megabyte is refused by its beginning."""

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            assert self.given <= 4 * LONGEST_LINE, "more is read than is ever needed"
            buffer[:] = b"x" * len(buffer)
            self.given += len(buffer)
            return len(buffer)

    def endless(*_: Any, **__: Any) -> Any:
        return io.BufferedReader(Endless())

    Path("huge.jsonl").touch()
    monkeypatch.setattr(Path, "open", endless)
    result = judge("huge.jsonl")
    assert (result.exit_code, "huge.jsonl:1: the line is longer" in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jsonl"], "there is no file nowhere.jsonl"),
        (["."], ". is a directory: name the files in it"),
        (["empty.jsonl"], "empty.jsonl: holds no trace"),
        (["--policy", "nowhere.yaml", "empty.jsonl"], "there is no file nowhere.yaml"),
    ],
)
def test_wrong_use(judge: Judge, arguments: list[str], said: str) -> None:
    """What cannot be judged is said in one sentence."""
    Path("empty.jsonl").write_text("\n")
    result = judge(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_text_for_people(judge: Judge) -> None:
    """A sentence each, and what it comes to; a name cannot write to the terminal."""
    result = judge("--output", "text", saved("traces.jsonl", good(), bad("b\x1b[31m\nad")))
    numbers = ("99.9 % against 99 % for 30m (18 of 17,400", "95 % against 99 % for 1m30s (15 of 300")
    healthy, breached = (f"availability {each} bad; before 99.9 %)" for each in numbers)
    assert result.stdout.splitlines() == [
        f"good: Healthy after 30m, passed early after 2m15s: {healthy}",
        f"b�[31m ad: Breached after 1m30s, rolled back: {breached}",
        "2 traces: 1 Breached, 1 Healthy",
    ]
    assert "undecided" in judge("-o", "text", saved("short.jsonl", Written().add(0.001, 0, 90))).stdout


def test_progress_is_for_terminals_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal long work says how far it is, on standard error, and takes it away again."""
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    silent = Progress()
    silent.show("3 traces judged")
    silent.clear()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    seen = Progress()
    seen.show("1,234 traces judged, in tra\x1bces.jsonl")
    seen.clear()
    seen.clear()
    assert capsys.readouterr() == ("", "\r\x1b[2K1,234 traces judged, in tra�ces.jsonl …\r\x1b[2K")


def test_a_pipe_gets_each_verdict_at_once() -> None:
    """A program that writes one trace after the other reads a verdict as soon as the next trace begins."""
    command = [sys.executable, "-m", "controller", "judge", "-"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "", "LC_ALL": "C"}
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=root
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(b"".join(good("naïve").lines) + good("next").lines[0])
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["trace"] == "naïve"
            process.stdin.close()
            assert json.loads(process.stdout.readline())["trace"] == "next"
            assert process.wait() == 0
        finally:
            process.kill()


def test_the_example_in_the_chapter(judge: Judge) -> None:
    """It can be judged as it stands there, and the fields that the chapter explains are those that come out."""
    (example,) = re.findall(r"^```jsonl\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)
    result = judge("-", given=example.encode())
    (found,) = verdicts(result)
    assert (found["verdict"], found["decided_at"]) == ("Inconclusive", None)
    (shown,) = re.findall(r"^```json\n(.*?)^```$", CHAPTER, re.MULTILINE | re.DOTALL)
    (made,) = verdicts(judge("-", given=b"".join(bad("case-2").lines)))
    assert json.loads(shown) == made
    assert [field for field in FIELDS if f"`{field}`" not in CHAPTER] == []
