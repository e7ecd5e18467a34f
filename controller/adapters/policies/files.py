"""Reads SLOPolicies from files and directories.

Invariant: one broken policy never stops the others; each that cannot be used is reported with its file, its line and
what to mend. Documents of other kinds that lie beside policies are left alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from controller.adapters.policies.yaml_documents import Document, DocumentError, Location, Mark, read_documents
from controller.core.policy import API_VERSION, KIND, SLOPolicy
from controller.core.policy_text import PolicyMessage, explain_errors
from controller.core.promotion.pipeline import PIPELINE_KIND

LARGEST_FILE = 4 * 1024 * 1024
MOST_FILES = 10_000
SUFFIXES = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy that validates, and where it was written."""

    policy: SLOPolicy
    file: str
    document: Document

    @property
    def name(self) -> str:
        """``namespace/name``."""
        return f"{self.policy.metadata.namespace}/{self.policy.metadata.name}"

    @property
    def line(self) -> int:
        """The line on which the policy begins, from 1."""
        return self.document.mark.line

    def mark(self, location: Location) -> Mark:
        """The place of a field in the file."""
        return self.document.locate(location)


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """A message and the place in the file that it is about."""

    message: PolicyMessage
    mark: Mark


@dataclass(frozen=True, slots=True)
class InvalidPolicy:
    """A policy that cannot be used; applications that it would guard are not judged by it."""

    file: str
    line: int
    name: str
    """``namespace/name`` as far as it is known, else empty."""
    messages: tuple[PlacedMessage, ...]

    def __str__(self) -> str:
        return "\n".join(f"{self.file}:{each.mark.line}: {each.message}" for each in self.messages)


Loaded: TypeAlias = LoadedPolicy | InvalidPolicy


def load_file(path: Path, shown_as: str | None = None) -> tuple[Loaded, ...]:
    """Read every policy of one file; documents of other kinds are left out.

    A file that cannot be read is an ``InvalidPolicy`` without a name.
    """
    file = shown_as or str(path)
    try:
        text = text_of(path)
    except ValueError as error:
        return (_unreadable(file, str(error)),)
    return load_text(text, file)


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: it cannot be read, is too large, or is no text.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or type(error).__name__}") from None
    if len(content) > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE // 1024 // 1024} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("no text in UTF-8") from None


def load_text(text: str, file: str) -> tuple[Loaded, ...]:
    """Read every policy of a text; ``file`` is what messages call it."""
    return without_twins(_loaded(text, file))


def load_directory(path: Path) -> tuple[Loaded, ...]:
    """Read every ``*.yaml`` and ``*.yml`` below a directory; hidden files and directories are left out.

    Two policies of one name are both invalid: which one counts must not depend on the order of files.
    """
    try:
        files = list(policy_files(path))
    except OSError as error:
        return (_unreadable(str(path), f"cannot be read: {error.strerror or type(error).__name__}"),)
    found: list[Loaded] = [each for file in files[:MOST_FILES] for each in load_file(file)]
    if len(files) > MOST_FILES:
        found.append(_unreadable(str(path), f"more than {MOST_FILES} files; the rest is not read"))
    return without_twins(found)


def policy_files(path: Path) -> Iterator[Path]:
    """Every policy file below a directory, in a fixed order; raises OSError where it cannot be listed."""
    for each in sorted(path.iterdir()):
        if each.name.startswith("."):
            continue
        if each.is_dir() and not each.is_symlink():
            yield from policy_files(each)
        elif each.suffix in SUFFIXES and each.is_file():
            yield each


def _loaded(text: str, file: str) -> Iterator[Loaded]:
    for document in read_documents(text):
        if isinstance(document, DocumentError):
            placed = PlacedMessage(PolicyMessage("", str(document)), document.mark)
            yield InvalidPolicy(file, document.mark.line, "", (placed,))
        elif not _foreign(document.value) and not is_pipeline(document.value):
            yield _policy(document, file)


def _foreign(value: object) -> bool:
    """Whether a document is plainly an object of another kind, such as a Deployment."""
    if not isinstance(value, dict):
        return False
    version, kind = value.get("apiVersion"), value.get("kind")
    known = isinstance(version, str) and isinstance(kind, str)
    return known and kind != KIND and not str(version).startswith("rollguard.dev/")


def is_pipeline(value: object) -> bool:
    """Whether a document says that it is a PromotionPipeline: those are read by ``pipeline_files``."""
    return isinstance(value, dict) and value.get("kind") == PIPELINE_KIND


def _policy(document: Document, file: str) -> Loaded:
    if not isinstance(document.value, dict):
        message = PolicyMessage("", "no SLOPolicy", f"begin with apiVersion: {API_VERSION} and kind: {KIND}")
        return InvalidPolicy(file, document.mark.line, "", (PlacedMessage(message, document.mark),))
    try:
        policy = SLOPolicy.model_validate(document.value, by_alias=True, by_name=False)
    except ValidationError as error:
        messages = tuple(PlacedMessage(each, document.locate(each.location)) for each in explain_errors(error))
        return InvalidPolicy(file, document.mark.line, name_of(document.value), messages)
    return LoadedPolicy(policy, file, document)


def name_of(value: dict[str, object]) -> str:
    """``namespace/name`` of a document, as far as it is known."""
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return ""
    name = f"{metadata.get('namespace', 'default')}/{metadata['name']}"
    return "".join(each if each.isprintable() else "�" for each in name)[:320]


def _unreadable(file: str, problem: str) -> InvalidPolicy:
    return InvalidPolicy(file, 1, "", (PlacedMessage(PolicyMessage("", problem), Mark(1)),))


def without_twins(found: Iterable[Loaded]) -> tuple[Loaded, ...]:
    """Policies of which there are several of one name become invalid, each naming the others."""
    results = tuple(found)
    named: dict[str, list[LoadedPolicy]] = defaultdict(list)
    for each in results:
        if isinstance(each, LoadedPolicy):
            named[each.name].append(each)
    return tuple(
        _twin(each, named[each.name]) if isinstance(each, LoadedPolicy) and len(named[each.name]) > 1 else each
        for each in results
    )


def _twin(policy: LoadedPolicy, all_of_them: list[LoadedPolicy]) -> InvalidPolicy:
    others = ", ".join(f"{each.file}:{each.line}" for each in all_of_them if each is not policy)
    location = ("metadata", "name")
    message = PolicyMessage("metadata.name", f"{policy.name} is declared again at {others}", "rename one", location)
    return InvalidPolicy(policy.file, policy.line, policy.name, (PlacedMessage(message, policy.mark(location)),))
