"""Runs of the demo that are ended whatever the test does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.demo.running import Run


@pytest.fixture
def run_demo(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts the demo."""
    runs: list[Run] = []

    def make(*arguments: str, **more: dict[str, str]) -> Run:
        runs.append(Run(tmp_path, *arguments, **more))
        return runs[-1]

    yield make
    for run in runs:
        run.close()
