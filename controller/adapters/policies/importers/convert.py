"""From another format to SLOPolicy documents that pass lint.

Invariant: what comes out validates; what does not is refused with the message that lint would give.
"""

from dataclasses import dataclass
from enum import StrEnum
from io import StringIO

from ruamel.yaml import YAML

from controller.adapters.policies.files import InvalidPolicy, load_text
from controller.adapters.policies.importers import openslo, pyrra, sloth
from controller.adapters.policies.importers.draft import Data, Draft, NotExpressible
from controller.adapters.policies.yaml_documents import Document, read_documents

_WIDTH = 118
_SEVERAL = (
    "One of {number} policies from one file. An application is guarded by one policy: if several of them are about one, "
    "import them again with --application NAME, which makes one of them."
)


class SourceFormat(StrEnum):
    """What can be imported."""

    PYRRA = "pyrra"
    SLOTH = "sloth"
    OPENSLO = "openslo"

    @property
    def called(self) -> str:
        """What its people call it."""
        return _TITLES[self]


_TITLES = {SourceFormat.PYRRA: "Pyrra", SourceFormat.SLOTH: "Sloth", SourceFormat.OPENSLO: "OpenSLO"}
_BEGINNINGS = {
    SourceFormat.PYRRA: "kind: ServiceLevelObjective",
    SourceFormat.SLOTH: "version: prometheus/v1, or kind: PrometheusServiceLevel",
    SourceFormat.OPENSLO: "kind: SLO, with apiVersion: openslo/v1",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has made."""

    text: str
    """SLOPolicy documents in YAML, with comments on what could not be carried over; may be empty."""
    refused: tuple[str, ...]
    """Why what was refused could not be expressed, one sentence each."""


def convert(text: str, source: SourceFormat, application: str | None = None) -> Imported:
    """Convert every document of a text.

    Args:
        text: YAML in the source's format.
        source: which format it is.
        application: put everything into one policy for this application.
    """
    documents: list[Data] = []
    refused: list[str] = []
    for each in read_documents(text):
        if isinstance(each, Document) and isinstance(each.value, dict):
            documents.append(each.value)
        elif not isinstance(each, Document):
            refused.append(f"line {each.mark.line}: {each}")
    drafts = _drafts(documents, source, refused)
    if not drafts and not refused:
        refused.append(f"it holds nothing of {source.called}, which has {_BEGINNINGS[source]}")
    drafts = _one_for_each_application(drafts, application)
    refused.extend(reason for each in drafts for reason in each.refused)
    drafts = [each for each in drafts if each.objectives]
    if len(drafts) > 1:
        for draft in drafts:
            draft.comments.append(_SEVERAL.format(number=len(drafts)))
    written = [_written(each, source, refused) for each in drafts]
    return Imported("---\n".join(each for each in written if each), tuple(refused))


def _drafts(documents: list[Data], source: SourceFormat, refused: list[str]) -> list[Draft]:
    drafts: list[Draft] = []
    known = openslo.indicators(documents)
    for each in documents:
        try:
            if source is SourceFormat.PYRRA:
                pyrra.read(each, drafts)
            elif source is SourceFormat.SLOTH:
                sloth.read(each, drafts)
            else:
                openslo.read(each, drafts, known)
        except NotExpressible as reason:
            refused.append(str(reason))
    return drafts


def _one_for_each_application(drafts: list[Draft], application: str | None) -> list[Draft]:
    """Two policies on one application would be in conflict, so what guards one application becomes one policy."""
    merged: dict[str, Draft] = {}
    for each in drafts:
        name = application or each.application
        if name not in merged:
            merged[name] = Draft(name if application else each.name, each.namespace, name)
        else:
            merged[name].name = name
        _add(merged[name], each)
    return list(merged.values())


def _add(whole: Draft, part: Draft) -> None:
    whole.namespace = whole.namespace or part.namespace
    whole.comments.extend(part.comments)
    whole.refused.extend(part.refused)
    for each in part.objectives:
        whole.add(each["name"], each.get("target"), each["indicator"])


def _written(draft: Draft, source: SourceFormat, refused: list[str]) -> str:
    """One document; empty where what was made does not validate."""
    stream, yaml = StringIO(), YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(draft.document(), stream)
    body = stream.getvalue()
    made = load_text(body, draft.name)
    problems = [str(placed.message) for bad in made if isinstance(bad, InvalidPolicy) for placed in bad.messages]
    if problems:
        refused.extend(f"{draft.name}: {each}" for each in problems)
        return ""
    said = [
        f"Imported from {source.called}. Check application and namespace: a policy guards what deploys into its own one."
    ]
    if draft.namespace is None:
        said.append(f"{source.called} names no namespace, so it is default.")
    lines = dict.fromkeys([*said, *draft.comments, *(f"Not carried over: {each}" for each in draft.refused)])
    return "".join(_comment(each) for each in lines) + body


def _comment(sentence: str) -> str:
    """A sentence as comment lines of bounded width; what came from the source cannot leave the comment."""
    plain = "".join(each if each.isprintable() else " " for each in sentence).split()
    lines, line = [], "#"
    for word in plain:
        if len(line) + 1 + len(word) > _WIDTH and line != "#":
            lines.append(line)
            line = "#  "
        line += f" {word}"
    return "\n".join([*lines, line]) + "\n"
