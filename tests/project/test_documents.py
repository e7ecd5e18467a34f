"""The project's own files say what is true: commands exist, links lead somewhere, examples are valid."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import promql_parser
import pytest
from prometheus_client import generate_latest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from controller.adapters.kubernetes.crd_promotion_models import ApprovalSpec
from controller.adapters.policies.files import LoadedPolicy, load_text
from controller.adapters.policies.lint import Severity, lint_offline
from controller.cli.main import ENTRIES, app
from controller.core.promotion.pipeline import PromotionPipeline
from controller.core.signature import matches
from controller.runtime.telemetry import Telemetry
from controller.settings import Settings
from controller.settings.loading import load_settings
from controller.web.report_body import read_report

ROOT = Path(__file__).parents[2]
FOLDERS = ("*.md", "docs/**/*.md", "charts/*.md", "policies/*.md", "benchmarks/*.md")
DOCUMENTS = sorted(path for pattern in FOLDERS for path in ROOT.glob(pattern))
README = (ROOT / "README.md").read_text()
BUILD_CLUSTER = (ROOT / "tests/servers/build_cluster.sh").read_text()
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


def examples(language: str, text: str = README) -> list[str]:
    """The document's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def targets() -> set[str]:
    """What the Makefile can make."""
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_readme_names_both_commands() -> None:
    """A newcomer finds the demo and the tests as the first commands."""
    assert re.findall(r"^\$ (make \w+)", README, re.MULTILINE)[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_commands_in_documents_exist(document: Path) -> None:
    """Each ``make …`` that a document names is a target."""
    named = set(re.findall(r"(?:^\$ |`)make ([a-z0-9-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets()


def prose(path: Path) -> str:
    """A document without its code blocks and code spans, in which brackets are no links."""
    without_blocks = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", without_blocks)


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub makes of a document's headings."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link is a file of the project, and its anchor a heading there."""
    for link in re.findall(r"\]\((?!https?://)([^)\s]+)\)", prose(document)):
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_in_the_index() -> None:
    """Whoever looks for a page finds it from docs/README.md, and that from the README."""
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"({name})" not in index} == set()
    assert "(docs/README.md)" in README


def test_every_decision_is_listed() -> None:
    """The list of decisions is whole."""
    listed = set(re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md")}


YAML_BLOCKS = [
    pytest.param(block, id=f"{name}-{number}")
    for path, name in zip(DOCUMENTS, NAMES, strict=True)
    for number, block in enumerate(examples("yaml", path.read_text()))
]
VALUES = json.loads((ROOT / "charts/rollguard/values.schema.json").read_text())["properties"].keys()
SETTINGS = {info.alias for info in Settings.model_fields.values()}
RULE_METRIC = re.compile(r"\brollguard_[a-z_]+")


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_examples_in_yaml_can_be_copied(block: str, tmp_path: Path) -> None:
    """Each is a policy, a pipeline, settings or a part of them, values of the chart, or rules on metrics that there are."""
    data = YAML(typ="safe").load(block)
    if data.get("kind") == "SLOPolicy":
        (loaded,) = load_text(block, "example.yaml")
        assert isinstance(loaded, LoadedPolicy), str(loaded)
        assert [each for each in lint_offline([loaded]) if each.severity is Severity.ERROR] == []
    elif data.get("kind") == "PromotionPipeline":
        assert PromotionPipeline.model_validate(data, by_alias=True, by_name=False)
    elif data.get("kind") == "Approval":
        assert ApprovalSpec.model_validate(data["spec"])
    elif "groups" in data:
        exposed = generate_latest(Telemetry.create("1").registry).decode()
        assert {name for name in RULE_METRIC.findall(block) if name.removesuffix("_bucket") not in exposed} == set()
        for rule in (each for group in data["groups"] for each in group["rules"]):
            promql_parser.parse(rule["expr"])
    elif data.keys() & VALUES and not data.keys() & SETTINGS:
        assert data.keys() <= VALUES
        file = tmp_path / "rollguard.yaml"
        YAML(typ="safe").dump(data.get("settings", {}), file)
        assert load_settings(file, {}) is not None
    else:
        file = tmp_path / "rollguard.yaml"
        file.write_text(block if data.keys() != {"reconcile"} else as_application(block))
        assert load_settings(file, {}) is not None


def as_application(block: str) -> str:
    """Settings with an application that has these fields."""
    given = "applications:\n  - name: checkout\n    repository: https://git.example.com/shop.git\n    paths: [a]\n"
    return given + "".join(f"    {line}\n" for line in block.splitlines())


def test_the_examples_for_beginners_are_the_same_application() -> None:
    """The README's policy guards the application of the README's settings."""
    policy, settings = (YAML(typ="safe").load(text) for text in examples("yaml"))
    (application,) = settings["applications"]
    assert (policy["kind"], policy["spec"]["application"]) == ("SLOPolicy", {"name": application["name"]})
    assert set(policy["spec"]["alerts"]) <= set(settings["alertSinks"])


OPTIONS = sorted(
    {
        (command, option)
        for path in DOCUMENTS
        for line in re.findall(r"rollguard ((?:quarantine )?[a-z-]+[^`\n|]* --[^`\n|]*)", path.read_text())
        for command in [" ".join(line.split()[: 2 if line.startswith("quarantine ") else 1])]
        for option in re.findall(r"(?<= )--[a-z-]+", line.partition(" # ")[0])
        if command.split()[0] in {entry.name for entry in ENTRIES}
    }
)


@pytest.mark.parametrize(("command", "option"), OPTIONS)
def test_options_in_documents_exist(command: str, option: str) -> None:
    """Each ``rollguard COMMAND --option`` that a document names can be typed."""
    assert option in CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"}).stdout


def test_the_report_script_signs_what_the_hook_takes(tmp_path: Path) -> None:
    """The script of the installation, with a curl that keeps what it gets, signs as the hook wants it."""
    (script,) = examples("sh", (ROOT / "docs/install-plain-git.md").read_text())
    (tmp_path / "report.sh").write_text(script)
    (tmp_path / "key").write_text("a key of the pipeline\n")
    curl = tmp_path / "curl"
    curl.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" > {tmp_path}/given\n')
    curl.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ROLLGUARD_KEY_FILE": str(tmp_path / "key")}
    subprocess.run(["sh", str(tmp_path / "report.sh"), "a" * 40, "Healthy"], env=environment, check=True)
    given = (tmp_path / "given").read_text().split("\0")
    body = given[given.index("--data-binary") + 1].encode()
    headers = dict(each.split(": ", 1) for each in given if each.startswith("X-Rollguard-"))
    key = b"a key of the pipeline"
    assert matches(key, headers["X-Rollguard-Timestamp"], body, headers["X-Rollguard-Signature"])
    report = read_report(body, time.time())
    assert (str(report.application), report.revision, report.phase.value) == ("shop/checkout", "a" * 40, "Healthy")


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


SCRIPTS = [
    ".ci/run",
    *(f"tests/servers/{name}.sh" for name in ("fetch_debian", "build_prometheus3", "build_cluster")),
]


@pytest.mark.parametrize("script", SCRIPTS)
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


def run_build(
    arguments: list[str], tmp_path: Path, text: str | None = None, **more: str
) -> subprocess.CompletedProcess:
    """Run the script that builds the cluster's parts, or another text of it, with a cache of its own."""
    script = tmp_path / "build"
    script.write_text(text or BUILD_CLUSTER)
    environment = {"PATH": os.environ["PATH"], "ROLLGUARD_CACHE": str(tmp_path / "cache")} | more
    return subprocess.run(
        ["/usr/bin/bash", str(script), *arguments], env=environment, capture_output=True, text=True, check=False
    )


def test_a_machine_without_go_gets_one_sentence(tmp_path: Path) -> None:
    """Where there is no go, the build of the cluster's parts says so last, and with a status of its own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("dirname", "mkdir", "rm", "sha256sum", "cut"):
        (programs / program).symlink_to(f"/usr/bin/{program}")
    done = run_build(["etcd"], tmp_path, PATH=str(programs))
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line == "etcd cannot be built here: there is no go on PATH. Install it (https://go.dev/dl) and try again."


def test_a_pin_of_the_cluster_moves_its_own_part_only(tmp_path: Path) -> None:
    """Changing one pin means building one part anew."""
    before = run_build(["--path"], tmp_path).stdout.splitlines()
    text = re.sub(r"^KWOK=.*$", "KWOK=v0.0.1", BUILD_CLUSTER, flags=re.MULTILINE)
    after = run_build(["--path"], tmp_path, text).stdout.splitlines()
    changed = [old.split()[0] for old, new in zip(before, after, strict=True) if old != new]
    assert changed == ["kwok"]
