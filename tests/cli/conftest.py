"""An installation on the disk, and a runner of the command line in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from typer.testing import CliRunner

from controller.cli.main import app
from tests.cli.scenario import Scenario

Run: TypeAlias = Callable[..., Any]


@pytest.fixture
def scenario(tmp_path: Path) -> Scenario:
    return Scenario.make(tmp_path)


@pytest.fixture
def run(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command on the installation; gives exit code, output and errors."""
    monkeypatch.setenv("ROLLGUARD_SETTINGS", str(scenario.settings))
    monkeypatch.setenv("COLUMNS", "160")
    runner = CliRunner()

    def invoke(*arguments: str) -> Any:
        return runner.invoke(app, list(arguments), prog_name="rollguard")

    return invoke
