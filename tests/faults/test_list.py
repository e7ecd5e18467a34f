"""The list of faults is true: every test that it names is there, and every fault has one."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))
ROWS = [
    line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| --- ", "| | ", "| fault"))
]
FAULTS = 28


def defined_in(path: str) -> set[str]:
    """Names of the tests in a file, those in classes too."""
    file = ROOT / path
    tree = ast.parse(file.read_text()) if file.exists() else ast.Module([], [])
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    """A test that is renamed or removed is missed here."""
    missing = [f"{path}::{name}" for path, name in NAMED if name not in defined_in(path)]
    assert not missing
    assert len(NAMED) > 80


def test_every_fault_of_the_list_is_there_with_a_test() -> None:
    """Each number once, and no row without a test."""
    numbers = [int(found[1]) for row in ROWS if (found := re.match(r"\| (\d+) \|", row))]
    assert sorted(numbers) == list(range(1, FAULTS + 1))
    assert [row for row in ROWS if "`tests/" not in row] == []


def test_every_test_of_faults_is_in_the_list() -> None:
    """What shows a fault is found by whoever reads the list."""
    here = {
        (str(file.relative_to(ROOT)), name)
        for file in Path(__file__).parent.glob("test_*.py")
        if file.name != Path(__file__).name
        for name in defined_in(str(file.relative_to(ROOT)))
        if name.startswith("test_")
    }
    assert here - set(NAMED) == set()
