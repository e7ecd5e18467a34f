"""Hostile YAML: bounds, duplicates, places, and documents that do not hide each other."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.policies.yaml_documents import Document, DocumentError, Mark, read_documents


def _only(text: str) -> Document:
    (found,) = read_documents(text)
    assert isinstance(found, Document), found
    return found


def _error(text: str) -> DocumentError:
    errors = [each for each in read_documents(text) if isinstance(each, DocumentError)]
    assert errors, text
    return errors[0]


def test_values_are_those_of_yaml_1_2() -> None:
    """``no``, ``12:30`` and dates stay text, as in every YAML 1.2 reader."""
    text = "a: no\nb: 12:30\nc: 2024-01-01\nd: true\ne: 0o7\nf: 1.5\ng: ~\nh: .5\ni: -3\nj: '1'\nk: 1e3\nl: !!str 2\n"
    assert _only(text).value == {
        "a": "no",
        "b": "12:30",
        "c": "2024-01-01",
        "d": True,
        "e": "0o7",
        "f": 1.5,
        "g": None,
        "h": 0.5,
        "i": -3,
        "j": "1",
        "k": 1000.0,
        "l": "2",
    }


def test_every_field_knows_its_place() -> None:
    """Messages point at the key, or at the item of a list; what has no place of its own points at what is around it."""
    document = _only("# comment\nspec:\n  objectives:\n    - name: a\n      target: 1\n    - {name: b}\n")
    assert document.mark == Mark(2, 1)
    assert document.locate(("spec", "objectives", 0, "target")) == Mark(5, 7)
    assert document.locate(("spec", "objectives", 1)) == Mark(6, 7)
    assert document.locate(("spec", "objectives", 1, "name")) == Mark(6, 8)
    assert document.locate(("spec", "objectives", 0, "indicator", "ratio")) == Mark(4, 7)
    assert document.locate(("status",)) == Mark(2, 1)


def test_broken_document_does_not_hide_the_others() -> None:
    """Three documents, the second broken: the other two are read, and the error says its own line."""
    first, broken, last = read_documents("a: 1\n---\nb: [1,\n---\nc: 3\n")
    assert isinstance(first, Document)
    assert isinstance(broken, DocumentError)
    assert isinstance(last, Document)
    assert (first.value, last.value) == ({"a": 1}, {"c": 3})
    assert broken.mark.line in {3, 4}
    assert last.locate(("c",)) == Mark(5, 1)


def test_empty_documents_directives_and_comments_are_left_out() -> None:
    """Nothing is no policy, and no error either."""
    assert list(read_documents("")) == []
    assert list(read_documents("---\n---\n# nothing\n---\n~\n")) == []
    assert _only("%YAML 1.2\n---\na: 1\n...\n").value == {"a": 1}
    assert _only("--- # policy\na: |\n  text\n   --- inside\n").value == {"a": "text\n --- inside\n"}


def test_key_that_stands_twice_is_named() -> None:
    """Of two targets one would win in silence."""
    error = _error("spec:\n  target: 1\n  target: 2\n")
    assert str(error) == "the key target stands twice"
    assert error.mark == Mark(3, 3)


def test_aliases_and_merges_work() -> None:
    """Owners may say a selector once."""
    text = "base: &b {a: 1, n: {x: 1}}\nc:\n  <<: *b\n  a: 2\nd: *b\ne:\n  <<: [*b, {z: 1, a: 5}]\n"
    value = _only(text).value
    assert value["c"] == {"a": 2, "n": {"x": 1}}
    assert value["d"] == {"a": 1, "n": {"x": 1}}
    assert value["e"] == {"a": 1, "n": {"x": 1}, "z": 1}


def test_billion_laughs_are_refused_at_once() -> None:
    """Aliases count as often as they are used, before anything is built."""
    names = "abcdefghi"
    text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n" for before, name in pairwise(names)
    )
    begin = time.process_time()
    assert "more than 20000 values" in str(_error(text))
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 5000, "nested deeper than 40"),
        ("{a: " * 5000, "nested deeper than 40"),
        ("- " * 50_000, "nested deeper than 40"),
        ("a: &a [*a]", "names nothing before it"),
        ("*a", "names nothing before it"),
        ("? [a]\n: b", "a key must be plain text"),
        ("a: !!python/object/apply:os.system [ls]", "tags such as !!int are not allowed"),
        ("a: !!binary aGk=", "tags such as !!int are not allowed"),
        ("a: \x00", "a character that YAML does not allow"),
        ("a: 'b", "not valid YAML"),
        ("\t- a", "not valid YAML"),
        ("a: " + "x" * 300_000, "larger than 256 kB"),
        ("a: 1\nb: 1\n" + "c:\n- " + "\n- ".join(["1"] * 21_000), "more than 20000 values"),
    ],
)
def test_hostile_document_gets_a_clear_error(text: str, said: str) -> None:
    """Size, depth, tags, recursion and nonsense end in one message each."""
    assert said in str(_error(text))


def test_number_of_documents_is_bounded() -> None:
    """A file of nothing but documents ends."""
    found = list(read_documents("---\na: 1\n" * 1200))
    assert len(found) == 1001
    assert isinstance(found[-1], DocumentError)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(10**20), 10**20)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    ).filter(lambda value: value is not None)
)
def test_json_is_read_as_json(value: object) -> None:
    """JSON is YAML 1.2: whatever is written as JSON is read as the same value."""
    text = json.dumps(value)
    found = list(read_documents(text))
    if "<<" not in text:
        assert [each.value for each in found if isinstance(each, Document)] == [json.loads(text)]


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.text("&*a:- []{}'\"|>#!%\n\t?,<~", max_size=40))
def test_any_text_ends_in_values_or_errors(text: str) -> None:
    """No text raises anything else, whatever it holds."""
    for each in read_documents(text):
        assert isinstance(each, Document | DocumentError)
