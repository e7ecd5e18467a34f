"""However the demo ends, it says why in a sentence, and leaves no process and no file behind."""

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo.running import ROLLGUARD, Run, until

RUNNING = "customers come"


def program(run: Run, part: str) -> int:
    """The process id of one of its programs."""
    return next(number for number, line in run.processes().items() if part in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(run_demo: Callable[..., Run], number: signal.Signals) -> None:
    """Ctrl-C in the middle ends shop, Prometheus and controller, removes the folder, and exits with 128 + signal."""
    run = run_demo()
    run.until(RUNNING)
    assert len(run.processes()) >= 4
    run.process.send_signal(number)
    assert run.wait() == 128 + number
    assert f"Ended by {number.name}; every process has ended, and nothing is left behind." in run.said()
    assert run.complained() == ""
    assert run.nothing_left(), run.processes()


def test_a_signal_while_it_starts_ends_everything(run_demo: Callable[..., Run]) -> None:
    """Ctrl-C before anything serves is no different."""
    run = run_demo()
    run.until("Setting up")
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert run.nothing_left(), run.processes()


def test_what_it_started_dies_with_it(run_demo: Callable[..., Run]) -> None:
    """Killed outright, it cannot end its processes: the kernel tells them."""
    run = run_demo()
    run.until(RUNNING)
    run.process.kill()
    run.wait()
    until(lambda: run.processes() == {}, "the end of its processes")


def test_without_prometheus_it_says_where_to_get_one(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    """Neither on PATH nor in the cache: one sentence with the remedy, exit 3, nothing made."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "")
    run = run_demo(environment={"PATH": str(tmp_path / "bin"), "ROLLGUARD_CACHE": str(tmp_path / "cache")})
    assert run.wait() == 3
    (line,) = run.complained().splitlines()
    assert "Prometheus is neither on PATH nor in" in line
    assert "apt-get install prometheus" in line
    assert run.said() == ""
    assert run.nothing_left()


def test_without_git_it_says_so(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    """No git: one sentence, exit 3."""
    run = run_demo(environment={"PATH": str(tmp_path)})
    assert run.wait() == 3
    assert run.complained() == "rollguard: git is not on PATH: install it (2.38 or newer) and try again.\n"
    assert run.nothing_left()


def test_a_prometheus_that_does_not_start_is_shown_with_its_log(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    """The sentence names the program, and the end of its log follows."""
    fake = tmp_path / "bin" / "prometheus"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'canary: no such flag'\nexit 2\n")
    fake.chmod(0o755)
    run = run_demo(environment={"PATH": f"{fake.parent}:{os.environ['PATH']}"})
    assert run.wait() == 3
    assert f"Prometheus ({fake}) ended (exit code 2). The end of its log:\n  canary: no such flag" in run.complained()
    assert run.nothing_left(), run.processes()


@pytest.mark.parametrize(("part", "name"), [("controller run", "the controller"), ("demo.shop", "the shop")])
def test_a_program_that_dies_ends_the_demo(run_demo: Callable[..., Run], part: str, name: str) -> None:
    """A controller or a shop that is gone is said, with the end of its log; exit 3."""
    run = run_demo()
    run.until(RUNNING)
    os.kill(program(run, part), signal.SIGKILL)
    assert run.wait() == 3
    assert f"rollguard: {name} ended by itself (by signal 9). The end of its log:\n  " in run.complained()
    assert run.nothing_left(), run.processes()


def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    """``rollguard demo | head``: nobody reads any more, so nothing goes on."""
    command = f"'{ROLLGUARD}' demo | head -n 3 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    """``--directory`` writes over nothing."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("x")
    run = run_demo("--directory", str(folder))
    assert run.wait() == 2
    assert "is not empty" in run.complained()
    assert [each.name for each in folder.iterdir()] == ["thesis.txt"]


def test_a_given_folder_keeps_its_files(run_demo: Callable[..., Run], tmp_path: Path) -> None:
    """A folder of the user's own, with a blank in its name, holds the files afterwards; the processes have ended."""
    folder = tmp_path / "my demo"
    run = run_demo("--directory", str(folder))
    run.until(RUNNING)
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert f"the files stay in {folder}" in run.said()
    assert {"rollguard.yaml", "policies", "manifests", "manifests.git", "state"} <= {
        each.name for each in folder.iterdir()
    }
    assert run.nothing_left(), run.processes()


def test_the_terminal_is_restored(tmp_path: Path) -> None:
    """On a terminal the block hides the cursor; after Ctrl-C it is there again."""
    main, other = pty.openpty()
    process = subprocess.Popen(
        [str(ROLLGUARD), "demo"],
        env=os.environ | {"TMPDIR": str(tmp_path), "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    said = b""
    while b"customers  " not in said:
        said += os.read(main, 4096)
    assert b"\x1b[?25l" in said
    process.send_signal(signal.SIGINT)
    try:
        while part := os.read(main, 4096):
            said += part
    except OSError:
        pass  # the other end is closed
    finally:
        os.close(main)
    assert process.wait(30) == 130
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l")
    assert b"nothing is left behind" in said[said.rfind(b"\x1b[?25h") :]
    assert list(tmp_path.iterdir()) == []
