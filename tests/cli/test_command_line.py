"""The command line itself: help, versions, exit codes, and what happens when something goes wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from controller import __version__
from controller.adapters.store import SqliteStore
from controller.cli import failures
from controller.cli.lazy import Entry, LazyGroup
from controller.cli.main import ENTRIES, app
from controller.ports.store import StoreUnavailable
from tests.cli.conftest import Run
from tests.cli.scenario import GOOD, Scenario

OWN = ["status", "history", "explain", "report-deployed", "rollback", "pause", "resume"]


def rollguard(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """The real command in a process of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("ROLLGUARD_")}
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "controller", *arguments],
        cwd=cwd,
        env={**plain, "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_help_names_every_command() -> None:
    """Each with a summary; the exit codes are told."""
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"}).stdout
    for entry in ENTRIES:
        assert f" {entry.name} " in shown
        assert entry.summary.split()[0] in shown
    assert "Exit codes: 0 done, 1 found something" in shown


@pytest.mark.parametrize("command", ["", "demo", "pause", "quarantine release"])
def test_an_option_without_a_value_shows_none(command: str) -> None:
    """``--all`` takes no value, so the help shows no type beside it."""
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "140"}).stdout
    assert "--help" in shown
    assert "bool" not in shown


def test_the_help_needs_none_of_the_commands(tmp_path: Path) -> None:
    """NumPy, pydantic and the like are imported by commands, not by the list of them."""
    code = (
        "import sys; from typer.testing import CliRunner; from controller.cli.main import app; "
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "print(sorted(set(sys.modules) & {'numpy', 'pydantic', 'git', 'kubernetes', 'plotext', 'requests'}))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", [*OWN, "quarantine list", "quarantine release"])
def test_each_command_explains_itself_with_an_example(command: str) -> None:
    """--help is enough to learn a command."""
    done = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "140"}, prog_name="rollguard")
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"rollguard {command}" in done.stdout.partition("Example")[2]
    assert "[bold]" not in done.stdout


def test_the_version_is_the_packages() -> None:
    """--version prints it and ends well."""
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"rollguard {__version__}\n")


@pytest.mark.parametrize("arguments", [["statsu"], ["status", "--nope"], ["status", "--output", "xml"], ["rollback"]])
def test_wrong_use_shows_the_usage(run: Run, arguments: list[str]) -> None:
    """Exit code 2, nothing on standard output."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Usage: rollguard" in done.stderr


def test_wrong_settings_are_wrong_use(run: Run, scenario: Scenario) -> None:
    """The settings' own messages, each in a line, exit code 2."""
    scenario.settings.write_text("store: {sqlit: x}\nserver: {listen: nowhere}\n")
    done = run("status")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "store.sqlit: there is no such field; did you mean sqlite?" in done.stderr
    assert "server.listen: " in done.stderr


def test_a_cluster_that_cannot_be_found_is_said(run: Run, scenario: Scenario) -> None:
    """State in a cluster, and no kubeconfig that leads there: named, and nothing is guessed."""
    kubeconfig = scenario.folder / "kubeconfig"
    kubeconfig.write_text("no: kubeconfig\n")
    scenario.settings.write_text(f"store: {{kubernetes: {{kubeconfig: {kubeconfig}}}}}\n")
    done = run("status")
    assert done.exit_code == 2
    assert f"store.kubernetes: kubeconfig {kubeconfig} cannot be used" in done.stderr


def test_a_missing_store_is_not_made(run: Run, scenario: Scenario) -> None:
    """Before the first run there is nothing to read; a typing error makes no empty store."""
    scenario.settings.write_text("store: {sqlite: elsewhere/state.db}\n")
    done = run("pause", "--all", "--for", "1h", "--reason", "x")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "does not exist yet: start `rollguard run`" in done.stderr
    assert not (scenario.folder / "elsewhere").exists()


def test_a_damaged_store_fails_outside(run: Run, scenario: Scenario) -> None:
    """Exit code 3 and the remedy."""
    for each in scenario.database.parent.iterdir():
        each.unlink()
    scenario.database.write_bytes(b"rubbish" * 1000)
    done = run("status")
    assert done.exit_code == 3
    assert "move it aside" in done.stderr


def test_commands_work_beside_a_running_controller(run: Run, scenario: Scenario) -> None:
    """The controller's lock keeps out another controller, not the command line."""
    store = SqliteStore(scenario.database)
    store.acquire_controller_lock()
    before = store.changed()
    assert run("rollback", "checkout").exit_code == 0
    assert store.changed() != before
    assert len(store.inbox()) == 1
    store.close()


def test_the_real_command_in_its_own_process(scenario: Scenario) -> None:
    """Each command once as people run it, with ./rollguard.yaml as the settings."""
    folder = scenario.folder
    for arguments in (
        ["status", "checkout", "-o", "json"],
        ["history"],
        ["explain", "checkout"],
        ["report-deployed", "search", "--revision", GOOD],
        ["rollback", "checkout"],
        ["pause", "--all", "--for", "1h", "--reason", "x"],
        ["resume", "--all"],
        ["quarantine", "release", "checkout", "--all"],
    ):
        done = rollguard(*arguments, cwd=folder)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        assert done.stdout
    with scenario.store() as store:
        assert [each.kind for each in store.inbox()] == ["sync", "command", "command"]


def test_a_missing_settings_file_is_told(tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    done = rollguard("status", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rollguard: rollguard.yaml: cannot be read")
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_failure(scenario: Scenario) -> None:
    """`rollguard … | head` ends without a word."""
    root = str(Path(__file__).parents[2])
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "controller", "explain", "checkout", "-o", "json"],
        cwd=scenario.folder,
        env={"PYTHONPATH": root},
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == failures.BROKEN_PIPE


WAITING = """
import sys, time, typer
from controller.cli.lazy import Entry, LazyGroup
from controller.cli.failures import explained

def wait():
    print("waiting", flush=True)
    time.sleep(60)

class Commands(LazyGroup):
    entries = (Entry("wait", "__main__", "wait", "Waits.", "Test"),)

app = typer.Typer(cls=Commands)
app.callback()(lambda: None)
app(["wait"])
"""


def test_ctrl_c_ends_a_command_without_a_traceback(tmp_path: Path) -> None:
    """SIGINT in the middle of a command: one word and exit code 130."""
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "interrupted\n")


def failing(error: Exception) -> typer.Typer:
    """A command line whose only command raises."""

    def broken() -> None:
        raise error

    class Commands(LazyGroup):
        entries = (
            Entry("broken", __name__, "broken", "Fails.", "Test"),
            Entry("missing", "controller.cli.nowhere", "x", "Is not there.", "Test"),
        )

    globals()["broken"] = broken
    made = typer.Typer(cls=Commands)
    made.callback()(lambda: None)
    return made


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (failures.CommandError("say more"), 2, "rollguard: say more\n"),
        (failures.CommandError("found", failures.ExitCode.FOUND), 1, "rollguard: found\n"),
        (StoreUnavailable("the disk is full"), 3, "rollguard: the disk is full\n"),
        (
            FileNotFoundError(2, "No such file or directory", "x.yaml"),
            3,
            "rollguard: x.yaml: No such file or directory\n",
        ),
        (
            KeyError("s3cret"),
            3,
            "rollguard: this is a defect of Rollguard (KeyError); run it again with ROLLGUARD_DEBUG=1",
        ),
    ],
)
def test_every_failure_is_one_sentence(error: Exception, code: int, said: str) -> None:
    """No traceback, whatever is raised; an unforeseen error's text may hold anything, so it is not shown."""
    done = CliRunner().invoke(failing(error), ["broken"])
    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert "s3cret" not in done.stderr


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """ROLLGUARD_DEBUG lets the error through."""
    monkeypatch.setenv("ROLLGUARD_DEBUG", "1")
    done = CliRunner().invoke(failing(KeyError("detail")), ["broken"])
    assert isinstance(done.exception, KeyError)


def test_a_command_that_is_not_there_breaks_no_other() -> None:
    """It is said for that command alone."""
    done = CliRunner().invoke(failing(KeyError("x")), ["missing"])
    assert (done.exit_code, done.stderr) == (2, "rollguard: this build of Rollguard has no command missing\n")


def test_json_holds_no_number_that_json_has_not(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinities are null; half characters are replaced."""
    from controller.cli.output import print_json

    print_json({"a": float("nan"), "b": [float("inf")], "c": "x\udce9", 5: (1,)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None], "c": "x?", "5": [1]}
