"""The chapter on commands says what there is."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli.main import ENTRIES, app

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
BUILT_HERE = (
    "status",
    "history",
    "explain",
    "report-deployed",
    "rollback",
    "pause",
    "resume",
    "quarantine",
    "drift",
    "locked",
    "judge",
    "backtest",
)


def test_every_command_is_in_the_chapter() -> None:
    """Each has a line."""
    assert [entry.name for entry in ENTRIES if f"`rollguard {entry.name}" not in TEXT] == []


LINES = sorted(set(re.findall(r"rollguard ((?:quarantine )?[a-z-]+[^`\n|]*--[^`\n|]*)", TEXT)))


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith(BUILT_HERE)])
def test_every_option_in_the_chapter_exists(line: str) -> None:
    """An example's options are those of its command."""
    words = line.split()
    command = words[:2] if words[0] == "quarantine" else words[:1]
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).stdout
    options = re.findall(r"--[a-z-]+", line)
    assert options
    assert [option for option in options if option not in shown] == []
