"""The project's own files say what is true: commands exist, links lead somewhere, examples are valid."""

import re
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from controller.core.policy import SLOPolicy
from controller.settings.loading import load_settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/*.md")])
README = (ROOT / "README.md").read_text()


def examples(language: str, text: str = README) -> list[str]:
    """The document's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def targets() -> set[str]:
    """What the Makefile can make."""
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_readme_names_both_commands() -> None:
    """A newcomer finds the demo and the tests as the first commands."""
    assert re.findall(r"^\$ (make \w+)", README, re.MULTILINE)[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(document: Path) -> None:
    """Each ``make …`` that a document names is a target."""
    named = set(re.findall(r"(?:^\$ |`)make ([a-z0-9-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link is a file of the project."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    """The list of decisions is whole."""
    listed = set(re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}


def test_the_policy_in_the_readme_is_valid() -> None:
    """The example can be copied as it is."""
    policies = [YAML(typ="safe").load(text) for text in examples("yaml") if "kind: SLOPolicy" in text]
    assert [SLOPolicy.model_validate(policy).metadata.name for policy in policies] == ["checkout"]


def test_the_settings_in_the_documents_are_valid(tmp_path: Path) -> None:
    """The examples for the administrator can be copied; only the secret files are missing here."""
    (example,) = (text for text in examples("yaml") if text.startswith("# rollguard.yaml"))
    (tmp_path / "token").write_text("t")
    (tmp_path / "rollguard.yaml").write_text(example.replace("/secrets/", f"{tmp_path}/"))
    (application,) = load_settings(tmp_path / "rollguard.yaml", {}).applications
    assert str(application.key) == "shop/checkout"


def test_the_settings_for_plain_git_are_valid(tmp_path: Path) -> None:
    """Every setting that the chapter on plain Git names exists, commented ones too."""
    (example,) = examples("yaml", (ROOT / "docs/plain-git.md").read_text())
    text = re.sub(r"# (?=(resync|timeout|runAs|environment):)", "", example)
    (tmp_path / "rollguard.yaml").write_text(text + "store: {sqlite: state.db}\n")
    (application,) = load_settings(tmp_path / "rollguard.yaml", {}).applications
    assert application.reconcile is not None
    assert application.reconcile.run_as == "deployer"


def test_the_licence_is_apache_2() -> None:
    """The licence's whole text is there."""
    text = (ROOT / "LICENSE").read_text()
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("script", [".ci/run", "tests/servers/fetch_debian.sh", "tests/servers/build_prometheus3.sh"])
def test_scripts_can_run(script: str) -> None:
    """The scripts are executable, and a shell can read them."""
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    interpreter = "bash" if "bash" in path.read_text().splitlines()[0] else "sh"
    subprocess.run([interpreter, "-n", str(path)], check=True)


def test_a_machine_without_packages_gets_one_sentence(tmp_path: Path) -> None:
    """Where servers are missing and no apt-get is there, the set-up says so in one line that names them."""
    for program in ("bash", "env", "id", "mkdir", "ln"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    text = (ROOT / "tests/servers/fetch_debian.sh").read_text().replace(":/usr/sbin:/sbin:", ":")
    script = tmp_path / "fetch"
    script.write_text(text)
    done = subprocess.run(
        [str(tmp_path / "bash"), str(script), "servers"],
        env={"PATH": str(tmp_path), "ROLLGUARD_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Missing on PATH: prometheus prometheus-alertmanager sshd ssh")
