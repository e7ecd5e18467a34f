"""The chart as helm renders it."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.stack.objects import Object, documents_of
from tests.cluster.stack.parts import program

CHART = Path(__file__).parents[2] / "charts" / "rollguard"
KUBERNETES = "1.37.2"


class HelmError(RuntimeError):
    """Helm refused; the text is what it said."""


def helm(*arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
    """Run helm; returns what it printed."""
    command = [program("helm"), *map(str, arguments), *(["--values", "-"] if values is not None else [])]
    done = subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stderr + done.stdout)
    return done.stdout


def rendered(namespace: str, values: Mapping[str, Any], *flags: str, release: str = "rollguard") -> list[Object]:
    """The objects of a release."""
    text = helm(
        "template", release, CHART, "--namespace", namespace, "--kube-version", KUBERNETES, *flags, values=values
    )
    return documents_of(text)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [each for each in objects if each["kind"] == kind]
