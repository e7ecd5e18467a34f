"""Finds the place that a path names, and says what stands in the way where there is none.

Invariant: what is found is what the path names in every reader: a key that is merged in (``<<``) or an item behind an
alias is found too, and how it was come by is kept, so that nothing shared is written to.
"""

import difflib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from controller.adapters.manifests.nodes import ListNode, MappingNode, Node, ScalarNode, Text, behind, text_of
from controller.core.promotion.fields import DocumentName, FieldPath, Match, Step, written
from controller.ports.manifests import FieldMissing, FieldRefused

MERGE = "<<"
_MOST_NAMED = 8
_MOST_SEARCHED = 20_000


@dataclass(slots=True)
class Found:
    """A place in a file."""

    node: Node
    trail: list[Node] = field(default_factory=list)
    """What it lies in, from the document's root on."""
    merged: ScalarNode | None = None
    """The ``<<`` by which a key on the way came from another mapping."""


def document_name(document: Node) -> DocumentName | None:
    """Kind, name and namespace of a document; None where it is no object with a name."""
    root = behind(document)
    if not isinstance(root, MappingNode):
        return None
    kind, metadata = text_of(own(root, "kind")), own(root, "metadata")
    inner = behind(metadata) if metadata is not None else None
    if kind is None or not isinstance(inner, MappingNode):
        return None
    name = text_of(own(inner, "name"))
    return DocumentName(kind, name, text_of(own(inner, "namespace"))) if name is not None else None


def own(mapping: MappingNode, key: str) -> Node | None:
    """The value that stands in a mapping itself."""
    return mapping.pairs[key][1] if key in mapping.pairs else None


def merges(mapping: MappingNode) -> Iterator[tuple[ScalarNode, MappingNode]]:
    """The mappings that are merged into one, the strongest first, with the ``<<`` of this one; each once."""
    seen = {id(mapping)}
    waiting = deque((key, node) for key, node in mapping.pairs.values() if _is_merge(key))
    while waiting:
        key, node = waiting.popleft()
        target = behind(node)
        if isinstance(target, ListNode):
            waiting.extendleft((key, item) for item in reversed(target.items))
        elif isinstance(target, MappingNode) and id(target) not in seen:
            seen.add(id(target))
            yield key, target
            waiting.extendleft((key, inner) for name, inner in target.pairs.values() if _is_merge(name))


def _is_merge(key: ScalarNode) -> bool:
    return key.value == MERGE and not key.style


def effective(mapping: MappingNode) -> dict[str, Node]:
    """All keys of a mapping with their values, the merged ones too."""
    found = {key.value: node for key, node in mapping.pairs.values() if not _is_merge(key)}
    for _, other in merges(mapping):
        for key, node in other.pairs.values():
            if not _is_merge(key):
                found.setdefault(key.value, node)
    return found


def locate(text: Text, path: FieldPath) -> Found:
    """Find a place. Raises FieldMissing, or FieldRefused where the path names several."""
    found = Found(_document(text, path))
    for number, step in enumerate(path.steps):
        _descend(text, path, found, number, step)
    return found


def _document(text: Text, path: FieldPath) -> Node:
    named = path.document
    if named is None:
        if len(text.documents) > 1:
            raise FieldRefused(
                f"{text.file}: has {len(text.documents)} documents: say in which one {path} is, as in {_example(text, path)}"
            )
        if not text.documents:
            raise FieldMissing(f"{text.file}: is empty, so there is no {path}")
        return text.documents[0]
    names = [(document, document_name(document)) for document in text.documents]
    hits = [document for document, name in names if name is not None and _is(name, named)]
    if not hits:
        there = ", ".join(str(name) for _, name in names[:_MOST_NAMED] if name is not None)
        raise FieldMissing(f"{text.file}: there is no {named}; there is {there or 'no object with kind and name'}")
    if len(hits) > 1:
        lines = " and ".join(str(each.at.line) for each in hits[:2])
        raise FieldRefused(f"{text.file}: {named} stands in lines {lines}: write Kind/namespace/name, or remove one")
    return hits[0]


def _is(name: DocumentName, wanted: DocumentName) -> bool:
    same = (name.kind, name.name) == (wanted.kind, wanted.name)
    return same and wanted.namespace in (None, name.namespace)


def _example(text: Text, path: FieldPath) -> str:
    name = next((name for each in text.documents if (name := document_name(each))), None)
    return str(FieldPath(path.steps, DocumentName(name.kind, name.name) if name else DocumentName("Kind", "name")))


def _descend(text: Text, path: FieldPath, found: Found, number: int, step: Step) -> None:
    inside = behind(found.node)
    node: Node | None = None
    if isinstance(step, str) and isinstance(inside, MappingNode):
        node = _key(found, inside, step)
    elif isinstance(step, int) and isinstance(inside, ListNode):
        node = inside.items[step] if step < len(inside.items) else None
    elif isinstance(step, Match) and isinstance(inside, ListNode):
        node = _item(text, path, inside, step)
    if node is None:
        raise FieldMissing(f"{text.file}:{inside.at.line}: there is no {path}; {_nearest(text, path, number, found)}")
    found.trail.append(found.node)
    found.node = node


def _key(found: Found, mapping: MappingNode, key: str) -> Node | None:
    node = own(mapping, key)
    if node is not None:
        return node
    for merge, other in merges(mapping):
        node = own(other, key)
        if node is not None:
            found.merged = found.merged or merge
            return node
    return None


def _item(text: Text, path: FieldPath, items: ListNode, step: Match) -> Node | None:
    hits = [item for item in items.items if _field(item, step.key) == step.value]
    if len(hits) > 1:
        lines = " and ".join(str(each.at.line) for each in hits[:2])
        raise FieldRefused(f"{text.file}: {path}: lines {lines} both have {step.key}: {step.value}; name one by [0]")
    return hits[0] if hits else None


def _field(item: Node, key: str) -> str | None:
    mapping = behind(item)
    return text_of(effective(mapping).get(key)) if isinstance(mapping, MappingNode) else None


def _nearest(text: Text, path: FieldPath, number: int, found: Found) -> str:
    """What there is instead."""
    step, inside = path.steps[number], behind(found.node)
    before = path.steps[:number]
    here = written(before) or "the file"
    if isinstance(inside, MappingNode) and isinstance(step, str):
        keys = list(effective(inside))
        close = difflib.get_close_matches(step, keys, n=1, cutoff=0.6)
        if close:
            return f"did you mean {FieldPath((*before, close[0], *path.steps[number + 1 :]), path.document)}?"
        other = _elsewhere(text, path)
        return f"there is {other}" if other else f"{here} has {_some(keys)}"
    if isinstance(inside, ListNode):
        if isinstance(step, Match):
            values = [value for each in inside.items if (value := _field(each, step.key)) is not None]
            return f"{here} has items with {step.key} {_some(values)}"
        remedy = "" if isinstance(step, int) else ": write [0] or [name=…]"
        return f"{here} is a list of {len(inside.items)}{remedy}"
    return f"{here} is {'a mapping' if isinstance(inside, MappingNode) else 'a single value'}"


def _some(names: list[str]) -> str:
    more = ", …" if len(names) > _MOST_NAMED else ""
    return (", ".join(name[:40] for name in names[:_MOST_NAMED]) or "nothing in it") + more


def _elsewhere(text: Text, path: FieldPath) -> str | None:
    """Another place in the document whose last key is the same."""
    root = _document(text, path)
    waiting: deque[tuple[tuple[Step, ...], Node]] = deque([((), root)])
    for _ in range(_MOST_SEARCHED):
        if not waiting:
            return None
        steps, node = waiting.popleft()
        if steps and steps[-1] == path.steps[-1] and isinstance(node, ScalarNode):
            return str(FieldPath(steps, path.document))
        if isinstance(node, MappingNode):
            waiting += [((*steps, key), inner) for key, (_, inner) in node.pairs.items()]
        elif isinstance(node, ListNode):
            waiting += [((*steps, place), inner) for place, inner in enumerate(node.items)]
    return None
