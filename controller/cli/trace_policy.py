"""The policy of ``rollguard judge --policy``: an SLOPolicy, or a declaration alone, as traces have it.

Invariant: exactly one policy comes out, and it validates.
"""

from pathlib import Path

from pydantic import ValidationError

from controller.adapters.policies.files import LARGEST_FILE, InvalidPolicy, load_file
from controller.adapters.policies.yaml_documents import Document, read_documents
from controller.cli.failures import CommandError
from controller.core.policy import PolicySpec, SLOPolicy
from controller.core.policy_text import explain_errors
from controller.core.traces import trace_policy


def read_policy(path: Path) -> PolicySpec:
    """The one policy of a YAML or JSON file.

    Raises:
        CommandError: there is none, or several, or it is not valid; the message names file and line.
    """
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    alone = _declaration_alone(path)
    return _declared(alone, path) if alone is not None else read_whole_policy(path).spec


def read_whole_policy(path: Path) -> SLOPolicy:
    """The one SLOPolicy of a YAML or JSON file.

    Raises:
        CommandError: there is none, or several, or it is not valid; the message names file and line.
    """
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    loaded = load_file(path)
    if len(loaded) != 1:
        raise CommandError(f"{path}: holds {len(loaded) or 'no'} policies; --policy wants exactly one")
    policy = loaded[0]
    if isinstance(policy, InvalidPolicy):
        raise CommandError(str(policy))
    return policy.policy


def _declaration_alone(path: Path) -> Document | None:
    """The file's only document, where it is a policy's spec without apiVersion and kind."""
    try:
        with path.open("rb") as stream:
            documents = list(read_documents(stream.read(LARGEST_FILE + 1).decode("utf-8-sig")))
    except (OSError, UnicodeDecodeError):
        return None  # load_file says what is wrong
    first = documents[0] if len(documents) == 1 else None
    if not isinstance(first, Document) or not isinstance(first.value, dict):
        return None
    return first if "objectives" in first.value and not {"apiVersion", "kind"} & set(first.value) else None


def _declared(document: Document, path: Path) -> PolicySpec:
    try:
        return trace_policy(document.value)
    except ValidationError as error:
        messages = explain_errors(error, PolicySpec)
        raise CommandError(
            "\n".join(f"{path}:{document.locate(each.location).line}: {each}" for each in messages)
        ) from None
