"""Random YAML as people write it, with the place of every scalar: comments, quotes, flow, blank lines, line endings."""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

KEYS = st.sampled_from(["image", "tag", "spec", "replicas", "a.b/c", "on", "1", "weight", "x-y", "é"])
TEXTS = st.one_of(
    st.sampled_from(
        ["v1.2.3", "1.10", "on", "1e3", "0x1f", "", "it's", 'say "hi"', "a: b", "# no", "2026-01-01", "~"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn")), max_size=9),
)
SCALARS = st.one_of(
    st.tuples(TEXTS, st.sampled_from(["'", '"'])),
    st.tuples(
        st.sampled_from(["v1", "some text", "registry:5000/app:v1@sha256:ab", "5", "1.10", "true", "~", "-x"]),
        st.just(""),
    ),
)
TAILS = st.sampled_from(["", "", "  # said", "   "])
BEFORE = st.sampled_from(["", "", "", "# a comment: with {signs}", "\n", "  # odd place"])


@dataclass(frozen=True)
class Leaf:
    """A scalar and where it is."""

    steps: tuple[Any, ...]
    value: str
    style: str


Tree = Any
TREES: st.SearchStrategy[Tree] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.dictionaries(KEYS, inner, min_size=1, max_size=4), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=10,
)


def spelled(value: str, style: str) -> str:
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value, ensure_ascii=False) if style else value


def key_of(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) if key in ("on", "1", "a.b/c") else key


@st.composite
def yaml_documents(draw: st.DrawFn) -> tuple[str, list[Leaf]]:
    """A text of one document, and its scalars."""
    tree = draw(st.dictionaries(KEYS, TREES, min_size=1, max_size=4))
    lines: list[str] = list(draw(st.sampled_from([[], ["---"], ["# head", "---"], ["%YAML 1.2", "---"]])))
    writer = _Writer(draw)
    writer.block(tree, 0, ())
    lines += writer.lines
    leaves = writer.leaves
    lines += draw(st.sampled_from([[], ["# end"], ["...", "# end"], [""]]))
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    text = ending.join(line.replace("\n", ending) for line in lines) + draw(st.sampled_from(["", ending]))
    return draw(st.sampled_from(["", "\ufeff"])) * (not text.startswith("%")) + text, leaves


@dataclass
class _Writer:
    draw: Any
    lines: list[str] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)

    def block(self, tree: Tree, indent: int, at: tuple[Any, ...]) -> None:
        pad = " " * indent
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for step, value in items:
            before = self.draw(BEFORE)
            if before:
                self.lines.append(before)
            head = f"{pad}{key_of(step)}:" if isinstance(tree, dict) else f"{pad}-"
            if isinstance(value, tuple) or self.draw(st.booleans()):
                self.lines.append(f"{head} {self.flow(value, (*at, step))}{self.draw(TAILS)}")
            else:
                self.lines.append(head + self.draw(TAILS))
                self.block(value, indent + self.draw(st.sampled_from([2, 4])), (*at, step))

    def flow(self, value: Tree, at: tuple[Any, ...]) -> str:
        if isinstance(value, tuple):
            self.leaves.append(Leaf(at, *value))
            return spelled(*value)
        if isinstance(value, dict):
            return (
                "{" + ", ".join(f"{key_of(key)}: {self.flow(each, (*at, key))}" for key, each in value.items()) + "}"
            )
        return "[" + ", ".join(self.flow(each, (*at, number)) for number, each in enumerate(value)) + "]"


def with_value(data: Any, steps: tuple[Any, ...], value: Any) -> Any:
    """A copy of plain data with one place exchanged."""
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if isinstance(data, dict):
        return {key: with_value(each, rest, value) if key == first else each for key, each in data.items()}
    return [with_value(each, rest, value) if number == first else each for number, each in enumerate(data)]
