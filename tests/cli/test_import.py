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
    assert "sloth-kubernetes.yaml: not carried over: computed: raw gives a ratio" in result.stderr
    assert all(isinstance(each, LoadedPolicy) for each in load_text(result.stdout, "f"))


def test_standard_input_and_one_application() -> None:
    """Everything of a file can be put into one policy."""
    result = _import("pyrra", "-", "--application", "checkout", given=(DOCUMENTS / "pyrra.yaml").read_text())
    assert result.exit_code == 0
    (policy,) = load_text(result.stdout, "f")
    assert policy.name == "shop/checkout"


def test_a_file_of_another_format_is_told_what_was_expected() -> None:
    """Exit 1, nothing on standard output; the file, and what a document of the format begins with."""
    result = _import("pyrra", "-", given="version: prometheus/v1\nservice: pay\n")
    assert (result.exit_code, result.stdout) == (1, "")
    expected = "<stdin>: not carried over: it holds nothing of Pyrra, which has kind: ServiceLevelObjective\n"
    assert result.stderr == expected


def test_several_policies_come_with_the_way_to_one(tmp_path: Path) -> None:
    """Two SLOs of one service are two policies unless --application joins them; each says so."""
    one, two = (DOCUMENTS / "pyrra.yaml").read_text().split("\n---\n")[:2]
    file = tmp_path / "slos.yaml"
    file.write_text(f"{one}\n---\n{two}\n")
    assert "# One of 2 policies from one file." in _import("pyrra", str(file)).stdout
    assert "# One of" not in _import("pyrra", str(file), "--application", "checkout").stdout


def test_wrong_use_exits_2(tmp_path: Path) -> None:
    """An unknown format, a missing file, a file that is no text."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    unknown = _import("terraform", "x.yaml")
    assert (unknown.exit_code, "Value error" in unknown.stderr) == (2, False)
    assert _import("sloth", str(tmp_path / "binary")).exit_code == 2
    missing = _import("sloth", str(tmp_path / "missing.yaml"))
    assert missing.exit_code == 2
    assert "missing.yaml" in missing.stderr
