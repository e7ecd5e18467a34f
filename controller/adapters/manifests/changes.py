"""The fields in which two texts differ: for drift between environments, and for protected configuration.

Documents are matched by kind and name, items of lists by their ``name`` where every one has its own, else by number.

Invariant: what is left out is never told as "no change": past its bounds the comparison fails. What is merged in or
stands behind an alias counts where it takes effect.
"""

from collections import Counter
from dataclasses import dataclass, field

from controller.adapters.manifests.locate import document_name, effective
from controller.adapters.manifests.nodes import (
    DEEPEST,
    ListNode,
    MappingNode,
    Node,
    ScalarNode,
    Text,
    behind,
    text_of,
)
from controller.core.promotion.fields import FieldChange, Match, Scalar, ScalarKind, Step, written
from controller.ports.manifests import ManifestUnreadable

MOST_COMPARED = 200_000
MOST_CHANGES = 10_000

_Steps = tuple[Step, ...]


def changed_fields(before: Text, after: Text) -> tuple[FieldChange, ...]:
    """The fields that differ. Raises ManifestUnreadable where there is more than can be compared."""
    comparison = _Comparison(before.file)
    single = len(before.documents) <= 1 and len(after.documents) <= 1
    old, new = ({"": each.documents[0]} if single and each.documents else _labelled(each) for each in (before, after))
    for label in {**old, **new}:
        comparison.document = label
        comparison.compare((), old.get(label), new.get(label))
    return tuple(comparison.found)


def _labelled(text: Text) -> dict[str, Node]:
    """The documents by names that are unique in the file."""
    names = [document_name(document) for document in text.documents]
    short = ["" if name is None else f"{name.kind}/{name.name}" for name in names]
    full = ["" if name is None else str(name) for name in names]
    several, twice = Counter(short), Counter(full)
    labels: dict[str, Node] = {}
    for number, document in enumerate(text.documents):
        label = short[number] if several[short[number]] == 1 else full[number]
        unique = label and (several[short[number]] == 1 or twice[label] == 1)
        labels[label if unique else f"#{number + 1}"] = document
    return labels


@dataclass(slots=True)
class _Comparison:
    file: str
    document: str = ""
    found: list[FieldChange] = field(default_factory=list)
    compared: int = 0

    def compare(self, steps: _Steps, old: Node | None, new: Node | None) -> None:
        """Compare what stands at one place in both."""
        mine, theirs = behind(old) if old else None, behind(new) if new else None
        self._count(steps)
        if isinstance(mine, MappingNode) and isinstance(theirs, MappingNode):
            self._mappings(steps, mine, theirs)
        elif isinstance(mine, ListNode) and isinstance(theirs, ListNode):
            self._lists(steps, mine, theirs)
        elif isinstance(mine, ScalarNode) and isinstance(theirs, ScalarNode):
            self._tell(steps, Scalar(mine.value, mine.kind), Scalar(theirs.value, theirs.kind))
        else:
            self._one_sided(steps, mine, gone=True)
            self._one_sided(steps, theirs, gone=False)

    def _count(self, steps: _Steps) -> None:
        self.compared += 1
        if self.compared > MOST_COMPARED or len(steps) > DEEPEST:
            raise ManifestUnreadable(f"{self.file}: more fields than can be compared, aliases included")

    def _tell(self, steps: _Steps, old: Scalar | None, new: Scalar | None) -> None:
        if old == new:
            return
        self.found.append(FieldChange(self.document, written(steps), old, new))
        if len(self.found) > MOST_CHANGES:
            raise ManifestUnreadable(f"{self.file}: differs in more than {MOST_CHANGES} fields")

    def _mappings(self, steps: _Steps, old: MappingNode, new: MappingNode) -> None:
        mine, theirs = effective(old), effective(new)
        self._tell(steps, _empty("{}", mine), _empty("{}", theirs))
        for key in {**mine, **theirs}:
            self.compare((*steps, key), mine.get(key), theirs.get(key))

    def _lists(self, steps: _Steps, old: ListNode, new: ListNode) -> None:
        self._tell(steps, _empty("[]", old.items), _empty("[]", new.items))
        mine, theirs = _by_name(old), _by_name(new)
        if mine is None or theirs is None:
            mine, theirs = _by_number(old), _by_number(new)
        for step in {**mine, **theirs}:
            self.compare((*steps, step), mine.get(step), theirs.get(step))
        kept, now = [each for each in mine if each in theirs], [each for each in theirs if each in mine]
        self._tell(steps, _order(kept) if kept != now else None, _order(now) if kept != now else None)

    def _one_sided(self, steps: _Steps, node: Node | None, *, gone: bool) -> None:
        """Tell everything below a node as gone or new."""
        if node is None:
            return
        here = _below(node)
        if not here:
            alone = _alone(node)
            self._tell(steps, alone if gone else None, None if gone else alone)
        for step, inner in here.items():
            self.compare((*steps, step), inner if gone else None, None if gone else inner)


def _empty(text: str, inside: object) -> Scalar | None:
    """That a collection holds nothing is a value of its own."""
    return None if inside else Scalar(text, ScalarKind.EMPTY)


def _alone(node: Node) -> Scalar:
    """What has nothing below it."""
    target = behind(node)
    if isinstance(target, ScalarNode):
        return Scalar(target.value, target.kind)
    return Scalar("{}" if isinstance(target, MappingNode) else "[]", ScalarKind.EMPTY)


def _below(node: Node) -> "dict[Step, Node]":
    target = behind(node)
    if isinstance(target, MappingNode):
        return dict(effective(target).items())
    if isinstance(target, ListNode):
        named = _by_name(target)
        return named if named is not None else _by_number(target)
    return {}


def _by_number(node: ListNode) -> "dict[Step, Node]":
    return dict(enumerate(node.items))


def _by_name(node: ListNode) -> "dict[Step, Node] | None":
    """The items by their names; None where one has none, or two the same."""
    found: dict[Step, Node] = {}
    for item in node.items:
        mapping = behind(item)
        name = text_of(effective(mapping).get("name")) if isinstance(mapping, MappingNode) else None
        if name is None:
            return None
        found[Match("name", name)] = item
    return found if len(found) == len(node.items) else None


def _order(steps: list[Step]) -> Scalar:
    return Scalar(", ".join(step.value if isinstance(step, Match) else str(step) for step in steps))
