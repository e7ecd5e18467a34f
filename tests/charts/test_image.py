"""The image fits the chart, as far as that can be seen without building it."""

import re
from pathlib import Path

import yaml

from charts.generate import CHART
from controller.settings.installation import KubernetesStoreSettings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
DEPLOYMENT = (CHART / "templates" / "deployment.yaml").read_text()


def test_all_that_is_copied_is_there_and_not_ignored() -> None:
    """The build's context has what the wheel is made of, and no secret, checkout or test."""
    copied = {
        word for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert all((ROOT / each).exists() for each in copied)


def test_it_runs_as_the_chart_says() -> None:
    """One user in both, not root, who owns the settings' cache folder; git, ssh and an init process are there."""
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    assert DEPLOYMENT.count(user) == 3
    cache = str(KubernetesStoreSettings().cache_directory)
    assert f"-o {user} -g {user} {cache}" in DOCKERFILE
    assert f"mountPath: {cache}" in DEPLOYMENT
    for package in ("git", "openssh-client", "tini", "ca-certificates"):
        assert re.search(rf"apt-get install .*\b{package}\b", DOCKERFILE)
    assert 'ENTRYPOINT ["tini", "--", "rollguard"]' in DOCKERFILE


def test_the_locks_versions_are_taken_with_their_conditions() -> None:
    """What the Dockerfile reads from the lock is every package once, or apart by Python's version."""
    (pattern,) = re.findall(r"--only-matching '([^']+)' requirements-dev\.lock", DOCKERFILE)
    lock = (ROOT / "requirements-dev.lock").read_text()
    lines = [found.group().strip() for found in re.finditer(pattern, lock, re.MULTILINE)]
    bare = [line.partition("==")[0] for line in lines if ";" not in line]
    assert len(bare) == len(set(bare)) > 50
    assert {line.partition("==")[0] for line in lines} >= {"kubernetes", "pydantic", "numpy", "gitpython"}


def test_probes_ask_what_is_answered() -> None:
    """The chart's paths are those of ``web.health``, at the port that the settings listen on."""
    health = (ROOT / "controller" / "web" / "health.py").read_text()
    for path in set(re.findall(r"path: (/\w+), port: http", DEPLOYMENT)):
        assert f'"{path}"' in health
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["replicas"] == 2
    assert "containerPort: 8080" in DEPLOYMENT
