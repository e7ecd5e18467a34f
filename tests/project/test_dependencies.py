"""Dependencies: what is imported is declared, what is declared is pinned, what is pinned is checked by its hash."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements-dev.lock").read_text()
PINS = re.compile(
    r"^(?P<pin>[a-z0-9][^ ]*==[^ ]+)(?: ; (?P<when>[^\\]+))? \\\n(?P<hashes>(?:    --hash=.*\n)+)", re.MULTILINE
)


def declared() -> list[Requirement]:
    """What pyproject asks for, in use and in development."""
    return [Requirement(text) for text in [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]]


def pins() -> Iterator[Requirement]:
    """What the lock file pins."""
    return (Requirement(match["pin"]) for match in PINS.finditer(LOCK))


def imported() -> Iterator[tuple[str, Path]]:
    """Top-level names that the package imports, other than the standard library's and its own."""
    for path in (ROOT / "controller").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "controller":
                    yield top, path


def test_what_is_imported_is_declared() -> None:
    """A fresh installation has all that the package imports: nothing comes by way of a development tool."""
    known = {canonicalize_name(Requirement(text).name) for text in PROJECT["project"]["dependencies"]}
    owners = packages_distributions()
    missing = {
        (name, path.relative_to(ROOT).as_posix())
        for name, path in imported()
        if not known & {canonicalize_name(owner) for owner in owners.get(name, [])}
    }
    assert missing == set()


def test_lock_is_in_step_with_pyproject() -> None:
    """Each declared dependency is pinned to a version that pyproject allows."""
    versions: dict[str, list[str]] = {}
    for pin in pins():
        versions.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    wrong = [
        str(requirement)
        for requirement in declared()
        if not (found := versions.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version, prereleases=True) for version in found)
    ]
    assert wrong == [], "run make lock"


def test_lock_is_pinned_and_hashed_throughout() -> None:
    """Every line of the lock is a pin with SHA-256 hashes; it names no index and no URL."""
    requirements = [line for line in LOCK.splitlines() if line and not line.startswith((" ", "#"))]
    assert len(list(pins())) == len(requirements) > 50
    assert all(len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", match["hashes"])) > 0 for match in PINS.finditer(LOCK))
    assert not re.search(r"https?://|^-", LOCK, re.MULTILINE)
