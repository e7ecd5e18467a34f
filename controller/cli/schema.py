"""``rollguard schema``: the JSON Schema of a policy, for editors."""

from typing import Annotated

import typer

from controller.cli.output import print_json
from controller.core.policy_schema import policy_reference, policy_schema


def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference for readers instead.")] = False,
) -> None:
    """JSON Schema of a policy, for editors.

    Write it to a file, and begin a policy with ``# yaml-language-server: $schema=slopolicy.json``.
    """
    if markdown:
        typer.echo(policy_reference(), nl=False)
    else:
        print_json(policy_schema())
