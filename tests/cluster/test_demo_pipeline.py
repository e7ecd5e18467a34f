"""``rollguard demo --pipeline`` from its first line to its last, on a real Gitea, registry and Prometheus."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.cluster.stack.parts import program
from tests.demo.running import Run, until

STORY = (
    "Rollguard demo: a new image goes from dev to staging to production",
    "Setting up",
    "kind: PromotionPipeline",
    "kind: SLOPolicy",
    "registryHook:",
    "1.0.0 is live in every stage",
    "requests come: 30 a second in dev",
    "and its image is pushed: shop/checkout:v1.0.1",
    "dev is to run 1.0.1,",
    "brings 1.0.1 to staging in place of 1.0.0: http://127.0.0.1:",
    "ci/images has passed",
    "staging is to run 1.0.1",
    "brings 1.0.1 to production",
    "production waits for people: ",
    "Lee Lead approves pull request 2",
    "Rollguard merges pull request 2, approved by lee: production is to run 1.0.1",
    "and its image is pushed: shop/checkout:v1.0.2",
    "dev is to run 1.0.2,",
    "staging is to run 1.0.2",
    "staging: ln E ",
    "1.0.2 is stopped in staging, and goes no further",
    "What it came to",
    "Where everything is: rollguard pipelines",
    "The pull requests in Gitea",
    "(merged)",
    "What happened, as Git has it",
    "Rollguard-Rollback-Of: ",
)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """The demo, which stays after its story."""
    program("gitea")  # says what to do where it is not built
    made = Run(tmp_path, "--pipeline", "--keep")
    yield made
    made.close()


def test_the_whole_story_is_told(run: Run) -> None:
    """Each step in its order, production never meets the bad version, the logins are right; Ctrl-C leaves nothing."""
    until(lambda: "It is all yours now" in run.said() or run.process.poll() is not None, "the end of the story", 300)
    said = run.said()
    assert "It is all yours now" in said, said + run.complained()
    at = 0
    for piece in STORY:
        assert piece in said[at:], f"{piece!r} is missing or out of order in:\n{said}"
        at = said.index(piece, at)
    assert re.search(r"^  in production +0  of [\d,]+ requests met the bad version", said, re.MULTILINE), said
    assert said.count("approves pull request") == 1
    assert re.search(r"^  production +1\.0\.1 +Passed", said, re.MULTILINE), said
    assert re.search(r"^  staging +1\.0\.2 +Stopped", said, re.MULTILINE), said
    run.until("In a browser:")
    said = run.said()
    (pages,) = re.findall(r"^  (http://\S+)/shop/manifests/pulls$", said, re.MULTILINE)
    for login in ("lee", "dana", "shop"):
        (password,) = re.findall(rf"^  {login} +(\S+) ", said[said.index("It is all yours now") :], re.MULTILINE)
        shown = requests.get(f"{pages}/api/v1/user", auth=(login, password), timeout=30)
        assert shown.json()["login"] == login
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert run.complained() == ""
    assert "\x1b" not in run.said()
    assert run.nothing_left(), run.processes()


def test_a_signal_while_it_sets_up_ends_everything(run: Run) -> None:
    """Ctrl-C once Gitea and the registry serve: both are ended, and the folder is gone."""
    run.until("Gitea: http://")
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert run.nothing_left(), run.processes()
