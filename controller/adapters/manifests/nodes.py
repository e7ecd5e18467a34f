"""A file as nodes that know where in the text they stand: what YAML and JSON are read into, and edited by.

Invariant: nothing is constructed but mappings, lists and scalars, within bounds; an alias points at its node, so that
a bomb stays as small as it is written. ``Text.nodes`` has every node of the file, in its order.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from controller.core.promotion.fields import ScalarKind
from controller.ports.manifests import ManifestUnreadable

LARGEST = 1 << 20
"""Bytes of a file."""
DEEPEST = 60
MOST_NODES = 100_000
MOST_DOCUMENTS = 1_000


@dataclass(slots=True)
class Spot:
    """Where a node stands: characters from the text's start, and its line, from 1."""

    start: int
    end: int
    line: int


@dataclass(slots=True)
class ScalarNode:
    """A value or a key."""

    at: Spot
    value: str
    style: str
    """Empty for plain, else ``'``, ``"``, ``|`` or ``>``; of JSON, ``j`` for a string."""
    kind: ScalarKind
    anchor: str | None = None
    tag: str | None = None

    def told(self) -> tuple[object, ...]:
        """What a reader gets of it."""
        return (self.value, self.kind, self.anchor, self.tag)


@dataclass(slots=True)
class MappingNode:
    """Keys with their values, each key once; ``<<`` stands among them."""

    at: Spot
    flow: bool
    anchor: str | None = None
    tag: str | None = None
    pairs: "dict[str, tuple[ScalarNode, Node]]" = field(default_factory=dict)

    def told(self) -> tuple[object, ...]:
        """What a reader gets of it, beside what is in it."""
        return ("mapping", self.flow, self.anchor, self.tag, len(self.pairs))


@dataclass(slots=True)
class ListNode:
    """Items."""

    at: Spot
    flow: bool
    anchor: str | None = None
    tag: str | None = None
    items: "list[Node]" = field(default_factory=list)

    def told(self) -> tuple[object, ...]:
        """What a reader gets of it, beside what is in it."""
        return ("list", self.flow, self.anchor, self.tag, len(self.items))


@dataclass(slots=True)
class AliasNode:
    """``*name``: another node once more."""

    at: Spot
    name: str
    target: "Anchored"

    def told(self) -> tuple[object, ...]:
        """What a reader gets of it."""
        return ("alias", self.name)


Anchored: TypeAlias = ScalarNode | MappingNode | ListNode
Node: TypeAlias = ScalarNode | MappingNode | ListNode | AliasNode


@dataclass(slots=True)
class Text:
    """A file's text and what was read of it."""

    file: str
    text: str
    json: bool = False
    documents: list[Node] = field(default_factory=list)
    """Those that hold something."""
    nodes: list[Node] = field(default_factory=list)

    @property
    def aliases(self) -> list[AliasNode]:
        """Every alias."""
        return [node for node in self.nodes if isinstance(node, AliasNode)]

    def add(self, node: Node, depth: int) -> None:
        """Count a node in."""
        self.nodes.append(node)
        if depth > DEEPEST:
            raise ManifestUnreadable(f"{self.file}:{node.at.line}: is nested deeper than {DEEPEST}")
        if len(self.nodes) > MOST_NODES:
            raise ManifestUnreadable(f"{self.file}: has more than {MOST_NODES} values; split it")


def behind(node: Node) -> Anchored:
    """The node itself, or what an alias stands for."""
    return node.target if isinstance(node, AliasNode) else node


def text_of(node: Node | None) -> str | None:
    """A scalar's text; None for everything else."""
    scalar = behind(node) if node is not None else None
    return scalar.value if isinstance(scalar, ScalarNode) else None


def decoded(file: str, body: bytes) -> str:
    """The file as text. Raises ManifestUnreadable."""
    if len(body) > LARGEST:
        raise ManifestUnreadable(f"{file}: is larger than {LARGEST} bytes")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise ManifestUnreadable(f"{file}: is no text in UTF-8 (byte {error.start + 1})") from None
