"""The deploy command: what it may see, how it ends, what is kept of its output."""

import os
import pwd
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from controller.adapters.gitops.deploy_command import (
    MESSAGE_LENGTH,
    OUTPUT_KEPT,
    CommandResult,
    Ending,
    Terms,
    kill_marked,
    run_command,
    scrubbed_environment,
)
from tests.adapters.gitops.parts import RealClock, alive, wait_until

NEVER = Terms(timeout=60, grace=0.3)


def run(*argv: str, folder: Path, terms: Terms = NEVER, unwanted=lambda: False, **variables: str) -> CommandResult:
    environment = scrubbed_environment(folder, variables, {})
    return run_command(argv, folder, environment, terms=terms, clock=RealClock(), unwanted=unwanted)


def shell(script: str, folder: Path, **kwargs) -> CommandResult:
    return run("sh", "-c", script, folder=folder, **kwargs)


def test_runs_in_the_folder_and_succeeds(tmp_path: Path) -> None:
    """Exit code 0 is success, and the working folder is the export."""
    result = shell("pwd > where", tmp_path)
    assert result.ending is Ending.SUCCEEDED
    assert (tmp_path / "where").read_text().strip() == str(tmp_path)


def test_failure_names_the_code_and_the_last_lines(tmp_path: Path) -> None:
    """A failure tells how it ended and what was printed last, standard error included."""
    result = shell("echo first; echo 'no such cluster' >&2; exit 7", tmp_path)
    assert result == CommandResult(Ending.FAILED, "sh failed with exit code 7: first | no such cluster")


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    """Arguments reach the program as they are: nothing in them is expanded or run."""
    run("touch", "$(touch owned); `touch owned`", folder=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["$(touch owned); `touch owned`"]


def test_secrets_of_the_controller_do_not_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token in the controller's environment is not in the command's, which is exactly what is declared."""
    monkeypatch.setenv("CANARY_TOKEN", "canary-7f3a")
    result = shell("cat /proc/self/environ > seen", tmp_path, KUBECONFIG="/etc/kube")
    seen = dict(each.split("=", 1) for each in (tmp_path / "seen").read_text().strip("\0").split("\0"))
    assert result.ending is Ending.SUCCEEDED
    assert set(seen) - {"PWD", "_", "SHLVL", "OLDPWD"} == {"PATH", "HOME", "LANG", "KUBECONFIG"}
    assert "canary" not in str(seen)
    assert seen["HOME"] == str(tmp_path)


def test_no_open_file_reaches_it(tmp_path: Path) -> None:
    """An open secret file of the controller is not open in the command."""
    with (tmp_path / "secret").open("w+") as secret:
        os.set_inheritable(secret.fileno(), True)
        result = shell("ls -l /proc/self/fd > open", tmp_path)
    assert result.ending is Ending.SUCCEEDED
    assert "secret" not in (tmp_path / "open").read_text()


def test_no_input_reaches_it(tmp_path: Path) -> None:
    """What the controller could read from its own input, the command cannot."""
    (tmp_path / "input").write_text("a password\n")
    own = os.dup(0)
    with (tmp_path / "input").open() as given:
        os.dup2(given.fileno(), 0)
        try:
            result = shell("cat > seen", tmp_path)
        finally:
            os.dup2(own, 0)
            os.close(own)
    assert result.ending is Ending.SUCCEEDED
    assert (tmp_path / "seen").read_text() == ""


def test_timeout_ends_all_that_it_started(tmp_path: Path) -> None:
    """At its deadline the whole process group ends, a grandchild that ignores SIGTERM too."""
    script = "trap '' TERM; (trap '' TERM; echo $BASHPID > grandchild; sleep 600) & wait"
    result = run("bash", "-c", script, folder=tmp_path, terms=Terms(timeout=0.5, grace=0.2))
    assert result.ending is Ending.TIMED_OUT
    assert "was ended after 0.5 s" in result.message
    wait_until(lambda: not alive(int((tmp_path / "grandchild").read_text())))


def test_unwanted_command_is_ended_gently_first(tmp_path: Path) -> None:
    """A command that is no longer wanted gets SIGTERM, and time to put things in order."""
    script = "trap 'echo tidied > end; exit 0' TERM; touch begun; while :; do sleep 0.05; done"
    result = shell(script, tmp_path, terms=Terms(60, 30), unwanted=(tmp_path / "begun").exists)
    assert result.ending is Ending.INTERRUPTED
    assert (tmp_path / "end").read_text() == "tidied\n"


def test_a_flood_of_output_is_bounded(tmp_path: Path) -> None:
    """Any amount of output costs the same memory; the end of it is what is told."""
    result = shell("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1", tmp_path)
    assert result.message.endswith("the end")
    assert len(result.message) <= MESSAGE_LENGTH + 100


def test_an_endless_flood_still_meets_its_deadline(tmp_path: Path) -> None:
    """A command that never stops printing is ended like any other."""
    result = run("yes", folder=tmp_path, terms=Terms(timeout=0.4, grace=0.2))
    assert result.ending is Ending.TIMED_OUT


def test_output_is_one_printable_line(tmp_path: Path) -> None:
    """Escape sequences, control characters and broken UTF-8 do not reach logs and alerts."""
    result = shell(r"printf '\033[31mred\033[0m \007 \377 line\r\nnext\n'; exit 1", tmp_path)
    assert result.message.isprintable()
    assert "red" in result.message
    assert result.message.endswith("| next")


def test_values_of_the_administrator_are_masked(tmp_path: Path) -> None:
    """A command that prints a variable it was given does not carry it into an alert."""
    terms = Terms(60, 1, masked=("registry-password-1",))
    result = shell('echo "login $TOKEN failed"; exit 1', tmp_path, terms=terms, TOKEN="registry-password-1")
    assert "login *** failed" in result.message
    assert "registry-password-1" not in repr(result)


def test_what_it_leaves_in_the_background_does_not_hold_it(tmp_path: Path) -> None:
    """A background process that keeps the output open neither delays the end nor is ended after a success."""
    result = shell("sleep 600 & echo $! > background", tmp_path)
    background = int((tmp_path / "background").read_text())
    try:
        assert result.ending is Ending.SUCCEEDED
        assert alive(background)
    finally:
        os.kill(background, 9)


def test_a_failed_command_leaves_nothing(tmp_path: Path) -> None:
    """What a failed command started in the background ends with it."""
    shell("sleep 600 & echo $! > background; exit 1", tmp_path)
    wait_until(lambda: not alive(int((tmp_path / "background").read_text())))


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("./deploy.sh",), "./deploy.sh cannot be started: there is no such program"),
        (("./plain",), "./plain cannot be started: it is not executable"),
        (("a\0b",), "cannot be started"),
    ],
)
def test_what_cannot_be_started_says_why(tmp_path: Path, argv: tuple[str, ...], says: str) -> None:
    """A missing or unusable program is a failure with a remedy, not an exception."""
    (tmp_path / "plain").write_text("echo\n")
    result = run(*argv, folder=tmp_path)
    assert result.ending is Ending.FAILED
    assert says in result.message


def test_killed_by_somebody_else(tmp_path: Path) -> None:
    """A command killed from outside (out of memory, say) failed, and the signal is named."""
    assert shell("kill -9 $$", tmp_path).message == "sh was killed by signal 9"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a command as somebody else")
def test_runs_as_another_user(tmp_path: Path) -> None:
    """Run as another user, it has that user's rights alone: a secret file of the controller stays closed."""
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH) if folder.stat().st_uid == os.getuid() else None
    secret = tmp_path / "secret"
    secret.write_text("token")
    secret.chmod(0o600)
    result = shell(f"id -u; id -G; cat {secret}", tmp_path, terms=Terms(60, 1, run_as="nobody"))
    nobody = pwd.getpwnam("nobody")
    assert result.ending is Ending.FAILED
    assert f": {nobody.pw_uid} | {nobody.pw_gid} | cat:" in result.message
    assert "token" not in result.message


def test_kill_marked_finds_only_the_marked(tmp_path: Path) -> None:
    """Exactly the processes that carry the mark are killed, those that left the process group too."""
    mark = f"ROLLGUARD_RUN={uuid.uuid4().hex}"
    name, value = mark.split("=")
    sleep = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    marked = subprocess.Popen(sleep, env={name: value}, start_new_session=True, stdout=subprocess.PIPE)
    other = subprocess.Popen(sleep, env={name: value + "0"}, stdout=subprocess.PIPE)
    with marked, other:
        marked.stdout.readline(), other.stdout.readline()
        try:
            assert kill_marked(mark) == 1
            assert marked.wait(10) == -9
            assert other.poll() is None
        finally:
            marked.kill()
            other.kill()


def test_kill_marked_without_proc_finds_nothing(tmp_path: Path) -> None:
    """A system without /proc is no error."""
    assert kill_marked("ROLLGUARD_RUN=x", tmp_path / "proc") == 0


def test_the_end_of_the_output_is_kept_whole(tmp_path: Path) -> None:
    """What is read in many pieces is put together rightly, up to the limit."""
    result = shell(f"seq 1 {OUTPUT_KEPT}; exit 1", tmp_path)
    assert result.message.endswith(" | ".join(str(OUTPUT_KEPT - each) for each in range(5, -1, -1)))
