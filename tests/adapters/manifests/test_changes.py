"""Which fields differ between two texts: by document, by name and by number, and within bounds."""

import pytest

from controller.adapters.manifests import ManifestText, changes
from controller.core.promotion.fields import FieldChange, Scalar, ScalarKind, parse_path
from controller.ports.manifests import ManifestUnreadable

MANIFESTS = ManifestText()
ONE = "kind: A\nmetadata: {name: x}\n"


def told(before: str, after: str, file: str = "f.yaml") -> list[tuple[str, str, str | None, str | None]]:
    found = MANIFESTS.changes(file, before.encode(), after.encode())
    return [(c.document, c.path, c.old and c.old.text, c.new and c.new.text) for c in found]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("a: 1\n", "a:   1 # said\n", []),
        ("a: 'x'\n", "a: x\n", []),
        ("a: '1'\n", "a: 1\n", [("a", "1", "1")]),
        ("a: 1.10\n", "a: 1.1\n", [("a", "1.10", "1.1")]),
        ("a: 1\nb: 2\n", "b: 3\nc: 4\n", [("a", "1", None), ("b", "2", "3"), ("c", None, "4")]),
        ("a: {b: {c: 1}}\n", "a: {b: {c: 2}}\n", [("a.b.c", "1", "2")]),
        ("a: {b: {c: 1}}\n", "a: 2\n", [("a.b.c", "1", None), ("a", None, "2")]),
        ("a: {b.c: 1}\n", "a: {b.c: 2}\n", [('a["b.c"]', "1", "2")]),
        ("a: [1, 2]\n", "a: [1, 3, 4]\n", [("a[1]", "2", "3"), ("a[2]", None, "4")]),
        ("a: {}\n", "a: {b: 1}\n", [("a", "{}", None), ("a.b", None, "1")]),
        ("a: []\n", "", [("a", "[]", None)]),
        ("a:\n", "a: 1\n", [("a", "", "1")]),
        ("", "a: {b: [x]}\n", [("a.b[0]", None, "x")]),
        (
            "a: [{name: x, v: 1}, {name: y, v: 2}]\n",
            "a: [{name: z, v: 0}, {name: y, v: 3}, {name: x, v: 1}]\n",
            [
                ("a[name=y].v", "2", "3"),
                ("a[name=z].name", None, "z"),
                ("a[name=z].v", None, "0"),
                ("a", "x, y", "y, x"),
            ],
        ),
        ("a: [{name: x}, {name: x}]\n", "a: [{name: x}]\n", [("a[1].name", "x", None)]),
        ("b: &b {x: 1}\nc: {<<: *b}\n", "b: &b {x: 2}\nc: {<<: *b}\n", [("b.x", "1", "2"), ("c.x", "1", "2")]),
        ("b: &b {x: 1}\nc: {<<: *b}\n", "b: {x: 1}\nc: {x: 1}\n", []),
        ("b: &b 1\nc: *b\n", "b: 1\nc: 1\n", []),
    ],
)
def test_fields_of_one_document(before: str, after: str, changes: list[tuple[str, str | None, str | None]]) -> None:
    """What readers get counts, not how it is written; the paths can be read."""
    assert told(before, after) == [("", *each) for each in changes]
    for path, _, _ in changes:
        assert str(parse_path(path)) == path


def test_documents_are_matched_by_name() -> None:
    """In another order they are the same; one more is told whole; nameless ones go by number."""
    a, b = "kind: A\nmetadata: {name: x}\nv: 1\n", "kind: B\nmetadata: {name: x}\nv: 1\n"
    assert told(f"{a}---\n{b}", f"{b}---\n{a}") == []
    assert told(f"{a}---\n{b}", f"{b}---\n{a}".replace("v: 1", "v: 2", 1)) == [("B/x", "v", "1", "2")]
    assert told(a, f"{a}---\nq: 1\n") == [("#2", "q", None, "1")]
    twice = f"{ONE}---\n{ONE.replace('name: x', 'name: x, namespace: n')}"
    assert told(twice, twice + "v: 1\n") == [("A/n/x", "v", None, "1")]
    same = f"{ONE}---\n{ONE}"
    assert told(same, same + "v: 1\n") == [("#2", "v", None, "1")]


def test_kinds_are_told() -> None:
    """Whether a value is text or a number is part of the change."""
    (change,) = MANIFESTS.changes("f.json", b'{"a": "1"}', b'{"a": 1}')
    assert change == FieldChange("", "a", Scalar("1"), Scalar("1", ScalarKind.NUMBER))


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text", [bomb(12), "a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a, b: {<<: *a}}\n" + bomb(12)], ids=len
)
def test_a_bomb_is_refused(text: str) -> None:
    """Aliases that grow beyond bounds, or hold themselves, end the comparison with a sentence."""
    with pytest.raises(ManifestUnreadable, match="more fields than can be compared"):
        told(text, text + "\nz: 1\n")


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More changes than can be told are an error, never a part of them."""
    monkeypatch.setattr(changes, "MOST_CHANGES", 3)
    assert len(told("a: [1, 2, 3]\n", "a: [4, 5, 6]\n")) == 3
    with pytest.raises(ManifestUnreadable, match="more than 3 fields"):
        told("a: [1, 2, 3, 4]\n", "a: [4, 5, 6, 7]\n")
