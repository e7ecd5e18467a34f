"""``rollguard import``: policies to standard output, what could not be carried over to standard error."""

from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from controller.adapters.policies.files import LoadedPolicy, load_text
from controller.cli.main import app

DOCUMENTS = Path(__file__).parents[1] / "adapters" / "policies" / "documents"


def _import(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["import", *arguments], prog_name="rollguard", input=given)


def test_everything_is_carried_over() -> None:
    """Exit 0; standard output is a file of valid policies."""
    result = _import("pyrra", str(DOCUMENTS / "pyrra.yaml"))
    assert (result.exit_code, result.stderr) == (0, "")
    assert all(isinstance(each, LoadedPolicy) for each in load_text(result.stdout, "f"))


def test_what_cannot_be_expressed_is_said() -> None:
    """Exit 1; the rest is written all the same, and standard output stays a policy."""
    result = _import("sloth", str(DOCUMENTS / "sloth-kubernetes.yaml"))
    assert result.exit_code == 1
    assert result.stderr.startswith("not carried over: computed: raw gives a ratio")
    assert all(isinstance(each, LoadedPolicy) for each in load_text(result.stdout, "f"))


def test_standard_input_and_one_application() -> None:
    """Everything of a file can be put into one policy."""
    result = _import("pyrra", "-", "--application", "checkout", given=(DOCUMENTS / "pyrra.yaml").read_text())
    assert result.exit_code == 0
    (policy,) = load_text(result.stdout, "f")
    assert policy.name == "shop/checkout"


def test_wrong_use_exits_2(tmp_path: Path) -> None:
    """An unknown format, a missing file, a file that is no text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert _import("terraform", "x.yaml").exit_code == 2
    assert _import("sloth", str(tmp_path / "binary")).exit_code == 2
    missing = _import("sloth", str(tmp_path / "missing.yaml"))
    assert missing.exit_code == 2
    assert "missing.yaml" in missing.stderr
