"""Reads YAML into nodes, by parser events: of every scalar the exact characters are known that it takes.

The parser is libyaml's, through PyYAML: the one that the Go libraries of Kubernetes, Helm and Kustomize were made from,
so that a place is the same place to them. No tag is honoured and nothing is constructed.
"""

import re
from dataclasses import dataclass

import yaml  # type: ignore[import-untyped, unused-ignore]

from controller.adapters.manifests.nodes import (
    MOST_DOCUMENTS,
    AliasNode,
    Anchored,
    ListNode,
    MappingNode,
    Node,
    ScalarNode,
    Spot,
    Text,
    decoded,
)
from controller.adapters.manifests.scalars import kind_of
from controller.core.promotion.fields import ScalarKind
from controller.ports.manifests import ManifestUnreadable

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = "\ufeff"
_ANCHOR = re.compile(r"&\S+(?:[ \t\r\n]+(?:#[^\r\n]*)?)*")
_QUOTE_OR_COMMENT = re.compile(r"[#\"']")

TEMPLATED = "looks like a template ({{ … }}), which is rendered before it is YAML; write into a values file instead"


def read_yaml(file: str, body: bytes) -> Text:
    """Read a file. Raises ManifestUnreadable."""
    return parse_yaml(file, decoded(file, body))


def parse_yaml(file: str, text: str) -> Text:
    """Read a text. Raises ManifestUnreadable."""
    builder = _Builder(Text(file, text), skipped=len(_BOM) if text.startswith(_BOM) else 0)
    try:
        for event in yaml.parse(text[builder.skipped :], Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _unreadable(file, text, error) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ManifestUnreadable):
            raise
        raise ManifestUnreadable(f"{file}: is no YAML: it holds a character that YAML does not allow") from None
    return builder.out


def _unreadable(file: str, text: str, error: yaml.MarkedYAMLError) -> ManifestUnreadable:
    mark = error.problem_mark or error.context_mark
    where = f"{file}:{mark.line + 1}" if mark else file
    if any("{{" in _QUOTE_OR_COMMENT.split(line, maxsplit=1)[0] for line in text.split("\n")):
        return ManifestUnreadable(f"{where}: {TEMPLATED}")
    said = (error.problem or "cannot be read").splitlines()[0][:160]
    lines = text.split("\n")[mark.line : mark.line + 1] if mark else []
    remedy = "; YAML is indented with spaces, not tabs" if any("\t" in line for line in lines) else ""
    return ManifestUnreadable(f"{where}: is no YAML: {said}{remedy}")


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    node: MappingNode | ListNode
    key: ScalarNode | None = None


class _Builder:
    """Builds nodes from events, without recursion."""

    def __init__(self, out: Text, skipped: int) -> None:
        self.out, self.skipped = out, skipped
        self._open: list[_Open] = []
        self._anchors: dict[str, Anchored] = {}

    def take(self, event: yaml.Event) -> None:
        """Read one event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.ScalarEvent):
            self._place(self._scalar(event))
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._alias(event))
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(MappingNode(self._spot(event), bool(event.flow_style), event.anchor, event.tag))
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin(ListNode(self._spot(event), bool(event.flow_style), event.anchor, event.tag))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop().node.at.end = event.end_mark.index + self.skipped

    def _spot(self, event: yaml.Event) -> Spot:
        start, end = event.start_mark, event.end_mark
        return Spot(start.index + self.skipped, end.index + self.skipped, start.line + 1)

    def _scalar(self, event: yaml.ScalarEvent) -> ScalarNode:
        at = self._spot(event)
        style = event.style or ""
        if event.anchor and not event.tag:
            found = _ANCHOR.match(self.out.text, at.start, at.end)
            at.start = found.end() if found else at.start
        kind = kind_of(event.value) if not style and event.tag in (None, "") else ScalarKind.TEXT
        return ScalarNode(at, event.value, style, kind, event.anchor, event.tag)

    def _alias(self, event: yaml.AliasEvent) -> AliasNode:
        at = self._spot(event)
        if event.anchor not in self._anchors:
            raise self._wrong(at, f"the alias *{event.anchor[:40]} names nothing before it")
        return AliasNode(at, event.anchor, self._anchors[event.anchor])

    def _begin(self, node: MappingNode | ListNode) -> None:
        self._place(node)
        self._open.append(_Open(node))

    def _place(self, node: Node) -> None:
        self.out.add(node, len(self._open))
        if not isinstance(node, AliasNode) and node.anchor:
            self._anchors[node.anchor] = node
        if not self._open:
            self._document(node)
            return
        top = self._open[-1]
        if isinstance(top.node, ListNode):
            top.node.items.append(node)
        elif top.key is None:
            top.key = self._key(top.node, node)
        else:
            top.node.pairs[top.key.value] = (top.key, node)
            top.key = None

    def _document(self, node: Node) -> None:
        if not (isinstance(node, ScalarNode) and node.kind is ScalarKind.NOTHING):
            self.out.documents.append(node)
        if len(self.out.documents) > MOST_DOCUMENTS:
            raise self._wrong(node.at, f"more than {MOST_DOCUMENTS} documents in one file; split it")

    def _key(self, mapping: MappingNode, node: Node) -> ScalarNode:
        if not isinstance(node, ScalarNode):
            template = self.out.text.startswith("{{", max(node.at.start - 1, 0))
            raise self._wrong(node.at, TEMPLATED if template else "a key must be plain text")
        if node.value in mapping.pairs:
            first = mapping.pairs[node.value][0].at.line
            raise self._wrong(node.at, f"the key {node.value[:60]} stands twice, first in line {first}; remove one")
        return node

    def _wrong(self, at: Spot, problem: str) -> ManifestUnreadable:
        return ManifestUnreadable(f"{self.out.file}:{at.line}: {problem}")
