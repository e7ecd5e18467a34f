"""The demo's parts, each by itself: manifest, shop, customers, phone, Git, processes, screen."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from rich.console import Console
from ruamel.yaml import YAML

from controller.core.policy import SLOPolicy
from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from controller.core.weighed import log_threshold
from controller.demo.files import POLICY, settings
from controller.demo.gauge import BAR, Gauges, bar, levels, plain_bar, plain_evidence
from controller.demo.load import Answer, Served, Tally
from controller.demo.manifest import Behaviour, ManifestError, behaviour
from controller.demo.narrator import Line, Mark
from controller.demo.phone import Phone
from controller.demo.processes import clean_environment, end, start, tail
from controller.demo.prometheus import find_prometheus
from controller.demo.repository import Shared
from controller.demo.screen import Screen, clean, console_for
from controller.demo.shop import MANIFEST, REFUSED, SERVING, Shop
from controller.demo.story import THRESHOLD
from controller.demo.summary import what_to_try
from controller.demo.watching import Live, LiveAnalysis, LiveObjective
from controller.settings import load_settings
from tests.demo.running import until

NEW = Behaviour("1.2.0", 0.05, 0.07)
ANALYSIS = LiveAnalysis(
    "1", False, "b2", 100.0, 101.0, 121.0, None, 3.5, 7.0, (LiveObjective("availability", 99.0, 5.0, 100.0),)
)


def test_a_manifest_says_how_the_shop_behaves() -> None:
    """What is written is read back."""
    assert behaviour(NEW.manifest()) == NEW


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[", "no manifest"),
        ("a: 1", "no manifest"),
        ("", "no manifest"),
        (NEW.manifest().replace('"0.05"', '"much"'), "ERROR_SHARE is no number"),
        (NEW.manifest().replace('"0.07"', '"1.5"'), "SLOW_SHARE must lie between 0 and 1"),
        (NEW.manifest().replace('"0.07"', "nan"), "SLOW_SHARE must lie between 0 and 1"),
        (NEW.manifest().replace("registry.example.com/shop:1.2.0", '"shop:"'), "no tag"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(text: str, why: str) -> None:
    """People play with the manifest: mistakes are explained."""
    with pytest.raises(ManifestError, match=why):
        behaviour(text)


def test_the_shop_serves_the_newest_manifest_that_it_can_read(tmp_path: Path) -> None:
    """A broken manifest is refused, and what served keeps serving."""
    shop = Shop(tmp_path)
    shop.take_manifest()
    assert shop.serves is None
    (tmp_path / MANIFEST).write_text(NEW.manifest())
    shop.take_manifest()
    assert shop.serves == NEW
    assert (tmp_path / SERVING).read_text() == NEW.manifest()
    (tmp_path / "next").write_text("[")
    (tmp_path / "next").replace(tmp_path / MANIFEST)
    shop.take_manifest()
    assert shop.serves == NEW
    assert "no manifest" in (tmp_path / REFUSED).read_text()


def test_customers_are_counted_by_version_and_by_second() -> None:
    """Errors, slow answers and no answer at all are bad."""
    tally = Tally()
    for at, version, status, seconds in (
        (10.1, "1", 200, 0.01),
        (10.2, "1", 500, 0.01),
        (11.0, "1", 200, 0.5),
        (11.5, "–", 0, 3.0),
        (12.0, "1", 200, 0.01),
    ):
        tally.count(Answer(at, version, status, seconds))
    assert tally.served() == Served(5, 3)
    assert tally.served("1") == Served(4, 2)
    assert tally.by_second() == [Served(2, 1), Served(2, 2)]
    assert tally.newest(5) == Served(4, 3)


def test_a_version_that_was_away_begins_anew() -> None:
    """The first good answer after a version was away is the one that counts as restored."""
    tally = Tally()
    assert tally.good_since("1") is None
    for at in (10.0, 12.0, 30.0, 31.0):
        tally.count(Answer(at, "1", 200, 0.01))
    assert tally.good_since("1") == 30.0


def test_the_phone_takes_signed_alerts_only_and_each_once() -> None:
    """A wrong signature is refused; an event that comes twice is told once."""
    phone = Phone()
    try:
        data = {"alert": "RollguardRolledBack", "severity": "warning", "status": "resolved", "summary": "over"}
        body = json.dumps({"id": "1", "data": data}).encode()
        right = {TIMESTAMP_HEADER: "1.0", SIGNATURE_HEADER: sign(phone.secret.encode(), "1.0", body)}
        wrong = right | {SIGNATURE_HEADER: sign(b"guess", "1.0", body)}
        codes = [
            requests.post(phone.url, body, headers=each, timeout=10).status_code for each in (wrong, right, right)
        ]
        assert codes == [403, 204, 204]
        (told,) = phone.read()
        assert (told.name, told.over) == ("RollguardRolledBack", True)
        assert phone.read() == []
    finally:
        phone.close()


def test_git_is_used_as_a_person_would_and_apart_from_their_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hostile variables and a broken global configuration of the user change nothing; the user's files stay."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[broken\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    folder = tmp_path / "a folder"
    folder.mkdir()
    shared = Shared(folder)
    first = shared.begin(Behaviour("1.0.0", 0, 0))
    second = shared.deploy(NEW, "Ship it")
    assert (shared.version(first), shared.version(second), shared.version("f" * 40)) == ("1.0.0", "1.2.0", "?")
    assert shared.changes(second)[:2] == [
        "-          image: registry.example.com/shop:1.0.0",
        "+          image: registry.example.com/shop:1.2.0",
    ]
    assert "Author: Dana Developer" in shared.show(second)
    assert "1 file changed" in shared.show(second)
    assert [each.name for each in home.iterdir()] == [".gitconfig"]


def test_the_files_of_the_demo_are_what_rollguard_reads(tmp_path: Path) -> None:
    """Policy and settings validate, in a folder with an awkward name too; the threshold that is told is the policy's."""
    folder = tmp_path / 'it\'s "mine" ☺'
    folder.mkdir()
    (folder / "secret").write_text("x" * 32)
    text = settings(
        folder, repository=folder.as_uri(), prometheus="http://127.0.0.1:9090", phone="http://127.0.0.1:9/alerts"
    )
    (folder / "rollguard.yaml").write_text(text)
    loaded = load_settings(folder / "rollguard.yaml", {})
    loaded.check_files()
    assert str(loaded.applications[0].key) == "shop/checkout"
    policy = SLOPolicy.model_validate(YAML(typ="safe").load(POLICY))
    assert log_threshold(policy.spec) == pytest.approx(THRESHOLD, abs=0.01)


def test_children_get_no_variable_that_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git's, Rollguard's and proxies' variables are left out."""
    for name in ("GIT_DIR", "ROLLGUARD_STORE__SQLITE", "HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "x")
    assert {"GIT_DIR", "ROLLGUARD_STORE__SQLITE", "HTTP_PROXY", "https_proxy"}.isdisjoint(clean_environment())


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """The end comes after the grace, whatever the program does."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = start("deaf", [sys.executable, "-c", code], tmp_path / "log", folder=tmp_path, environment={})
    until(lambda: (tmp_path / "log").read_text() == "up\n", "its start")
    end([child], grace=0.2)
    assert child.process.returncode == -9


def test_a_program_that_is_missing_is_named_in_its_log(tmp_path: Path) -> None:
    """The log says which program it was."""
    child = start("gone", ["/no/such/program"], tmp_path / "log", folder=tmp_path, environment={})
    assert child.process.wait(20) == 1
    assert "/no/such/program: No such file" in tail(tmp_path / "log")


def test_a_tail_is_short_and_harmless(tmp_path: Path) -> None:
    """The last lines only, without control characters."""
    (tmp_path / "log").write_text("first\n" + "x\n" * 50 + "\x1b[2Jlast\n")
    shown = tail(tmp_path / "log").splitlines()
    assert len(shown) == 8
    assert shown[-1] == "   [2Jlast"
    assert tail(tmp_path / "none") == "  (there is no log)"


def test_prometheus_comes_from_path_before_the_cache(tmp_path: Path) -> None:
    """PATH first, then the cache that the set-up fills."""
    for place in ("path", "cache/bin"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "prometheus").write_text("#!/bin/sh\n")
        (tmp_path / place / "prometheus").chmod(0o755)
    cache = {"ROLLGUARD_CACHE": str(tmp_path / "cache")}
    assert find_prometheus({"PATH": str(tmp_path / "path"), **cache}) == str(tmp_path / "path" / "prometheus")
    assert find_prometheus({"PATH": str(tmp_path), **cache}) == str(tmp_path / "cache" / "bin" / "prometheus")


def test_bars_are_as_long_as_they_should_be() -> None:
    """Nothing, half, all, beyond, and below nothing."""
    assert [len(bar(value, 7.0)[0]) for value in (-3.0, 0.0, 3.5, 7.0, 700.0)] == [0, 0, 15, 30, BAR]
    assert len("".join(bar(3.5, 7.0))) == BAR
    assert plain_bar(3.5, 7.0, 10) == "[#####.....]"
    assert plain_bar(-1.0, 7.0, 4) == "[....]"
    assert levels([0.0, 0.5, 1.0, 9.0], 1.0) == "▁▅██"


def test_the_block_shows_what_is_known() -> None:
    """Customers, objectives, evidence and what is waited for, also in a narrow terminal."""
    tally = Tally()
    for number in range(100):
        tally.count(Answer(100 + number / 10, "1.2.0", 200 if number % 5 else 500, 0.01))
    for width in (40, 100):
        console = Console(file=io.StringIO(), width=width, record=True)
        gauges = Gauges(tally)
        console.print(gauges.block(Live("Analysing", "a1", ANALYSIS), "1.2.0", "waiting for proof", 109.0, width))
        text = console.export_text()
        assert {len(line) for line in text.splitlines()} == {width}
        assert "1.2.0 · 9 s" in text
        assert "availability" in text
    assert "ln E 3.5 of 7.0" in text
    assert "95.0 % against 99 %  5 of 100 bad" in text
    assert "bad now 20.0 %" in text


def test_the_block_in_one_line() -> None:
    """Where nothing moves."""
    assert (
        plain_evidence(ANALYSIS, Served(200, 9))
        == "[##########..........] ln E  3.5 of 7.0; availability 95.0 % against 99 %; 9 of 200 badly served"
    )


def test_lines_are_plain_without_a_terminal_and_harmless_with_one() -> None:
    """No colours in a pipe; control characters and markup of a commit's subject reach nobody."""
    line = Line(1.25, Mark.BAD, "[red]evil\x1b[2J\nsubject[/red]")
    piped = io.StringIO()
    Screen(console_for(piped)).line(line)
    assert piped.getvalue() == "   1.2 s  breached   [red]evil [2J subject[/red]\n"
    console = Console(file=io.StringIO(), force_terminal=True, width=80, markup=False, color_system="standard")
    Screen(console).line(line)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b[2J" not in shown
    assert "[red]evil [2J subject[/red]" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert clean("a\tb") == "a b"


def test_no_colour_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """--no-color and NO_COLOR both take colours away."""
    assert console_for(io.StringIO(), colour=False).no_color
    monkeypatch.setenv("NO_COLOR", "1")
    assert console_for(io.StringIO()).no_color


def test_what_to_try_can_be_typed(tmp_path: Path) -> None:
    """The suggested change is one that git and sed make of the demo's own manifest, in a folder with a blank in it."""
    folder = tmp_path / "my demo"
    folder.mkdir()
    shared = Shared(folder)
    shared.begin(Behaviour("1.1.0", 0.001, 0.001))
    text = what_to_try(folder, ["rollguard"], prometheus="http://p", controller="c", shop="s")
    commands = [line.strip() for line in text.splitlines()[1:4]]
    subprocess.run(["sh", "-euc", "\n".join(commands)], check=True, capture_output=True, env=clean_environment())
    head = subprocess.run(
        ["git", "rev-parse", "main"], cwd=shared.remote, check=True, capture_output=True, text=True
    ).stdout.strip()
    changed = subprocess.run(
        ["git", "show", f"{head}:apps/checkout/shop.yaml"],
        cwd=shared.remote,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert behaviour(changed) == Behaviour("1.3.0", 0.2, 0.001)
