"""What users install: the wheel, built from the source distribution, in a virtual environment of its own."""

import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from controller import __version__

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; what it said is shown where it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it comes out of the source distribution: files that the latter lacks are missed here."""
    work = tmp_path_factory.mktemp("build")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", work, cwd=ROOT)
    (source,) = work.glob("*.tar.gz")
    run(sys.executable, "-m", "tarfile", "--extract", source, work / "source", cwd=work)
    (unpacked,) = (work / "source").iterdir()
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", work, cwd=unpacked)
    (built,) = work.glob("*.whl")
    return built


def test_wheel_installs_and_runs(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment ``rollguard --version`` answers, from the installed files."""
    fresh = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", fresh, cwd=tmp_path)
    python = fresh / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # The dependencies are those of this environment; the editable project is not seen this way.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    where = run(python, "-c", "import controller; print(controller.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(fresh)
    assert run(fresh / "bin" / "rollguard", "--version", cwd=tmp_path) == f"rollguard {__version__}\n"
    assert "report-deployed" in run(fresh / "bin" / "rollguard", "--help", cwd=tmp_path)


def test_wheel_has_all_it_needs_and_nothing_else(wheel: Path) -> None:
    """Every module, the catalogue of policies, the marker for types and the licence; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "controller").rglob("*.py")}
    assert modules <= set(names)
    assert "controller/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    policies = [path.relative_to(ROOT / "policies").as_posix() for path in (ROOT / "policies").rglob("*.yaml")]
    assert {f"controller/_policies/{path}" for path in policies} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"controller", f"rollguard-{__version__}.dist-info"}
    assert Parser().parsestr(metadata)["License-Expression"] == "Apache-2.0"
