"""The import contracts hold, and would be seen to be broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

BREACHES = {
    "core decides and never acts": ("controller/core/git.py", "import subprocess\n"),
    "Layers point one way": ("controller/ports/clock.py", "import controller.adapters.store\n"),
    "Adapters do not know each other": (
        "controller/adapters/gitops/reported.py",
        "import controller.adapters.notify\n",
    ),
    "git runs in one place only": ("controller/adapters/store/__init__.py", "import git\n"),
    "APScheduler only in runtime.scheduler": ("controller/web/__init__.py", "import apscheduler\n"),
}


def lint(project: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a copy of the project."""
    return subprocess.run(
        [str(LINT_IMPORTS), "--no-cache"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and its contracts."""
    copy = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "controller", copy / "controller", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_contracts_hold(project: Path) -> None:
    """No room imports what it must not."""
    done = lint(project)
    assert done.returncode == 0, done.stdout


def test_breaches_are_found(project: Path) -> None:
    """One forbidden import for each contract: all contracts are named as broken."""
    for module, text in BREACHES.values():
        path = project / module
        path.write_text(path.read_text() + text)
    done = lint(project)
    assert done.returncode == 1
    assert [name for name in BREACHES if f"{name} BROKEN" not in done.stdout] == []
