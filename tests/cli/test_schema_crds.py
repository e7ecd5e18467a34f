"""``rollguard schema --crds``."""

import yaml
from typer.testing import CliRunner

from controller.adapters.kubernetes.crds import definitions
from controller.cli.main import app


def test_the_definitions_are_printed_for_kubectl() -> None:
    """Three documents that can be piped into ``kubectl apply -f -``."""
    done = CliRunner().invoke(app, ["schema", "--crds"])
    assert done.exit_code == 0
    assert list(yaml.safe_load_all(done.stdout)) == list(definitions())
