"""``rollguard demo`` from its first line to its last, as it runs for a user without a terminal."""

import re
from collections.abc import Callable

from tests.demo.running import Run

STORY = (
    "Rollguard demo: a bad commit is deployed",
    "Setting up",
    "kind: SLOPolicy",
    "metricsSources:",
    "1.0.0 is live",
    "customers come",
    "“Ship 1.1.0",
    "1.1.0 ({good}) is being deployed",
    "1.1.0 ({good}) is live",
    "Healthy: ",
    "“Ship 1.2.0",
    "1.2.0 ({bad}) is being deployed",
    "against it: [",
    "worse than its SLO and than before",
    "restores 1.1.0 in Git, pushed",
    "1.1.0 answers customers again",
    "well again, as shown",
    "What it came to",
    "The revert, as it is in Git",
    "Roll back checkout to {good}: ",
    "Rollguard-Rollback-Of: {bad}",
    "-          image: registry.example.com/shop:1.2.0",
    "+          image: registry.example.com/shop:1.1.0",
    "Done; every process has ended, and nothing is left behind.",
)


def figure(text: str, name: str) -> float:
    """A figure of the summary."""
    found = re.search(rf"^  {name} +([\d.]+)( s)?  ", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def test_the_whole_story_is_told(run_demo: Callable[..., Run]) -> None:
    """Every step is told in its order, the figures fit together, it ends with 0 and leaves nothing behind."""
    run = run_demo()
    assert run.wait() == 0, run.said() + run.complained()
    said = run.said()
    commits = dict(re.findall(r"pushes ([0-9a-f]{7}) “Ship (\S+):", said))
    by_version = {version: commit for commit, version in commits.items()}
    at = 0
    for piece in STORY:
        text = piece.format(good=by_version["1.1.0"], bad=by_version["1.2.0"])
        assert text in said[at:], f"{text!r} is missing or out of order in:\n{said}"
        at = said.index(text, at)
    assert run.complained() == ""
    assert "\x1b" not in said
    assert run.nothing_left(), run.processes()
    detected, restored = figure(said, "time to detect"), figure(said, "time to restore")
    assert 3 < detected < restored < figure(said, "time to recovery") < figure(said, "the whole demo") < 180
    assert 0 < figure(said, "verdict to push") < restored - detected + 1
    assert figure(said, "badly served") >= 5
    assert said.count("restores 1.1.0 in Git") == said.count("1.1.0 answers customers again") == 1
    assert said.count("RollguardRolledBack (warning)") == said.count("RollguardRolledBack is over") == 1
