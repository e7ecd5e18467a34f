"""Paths of fields: what owners write, what is refused, and that writing a path and reading it is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.declared import DeclarationError
from controller.core.promotion.fields import DocumentName, FieldPath, Match, parse_path

KEYS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=12)
STEPS = st.one_of(
    KEYS,
    st.integers(0, 999),
    st.builds(Match, st.from_regex(r"[A-Za-z0-9_$/-]{1,9}", fullmatch=True), KEYS),
)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,9}", fullmatch=True)
DOCUMENTS = st.builds(
    DocumentName, st.from_regex(r"[A-Z][A-Za-z0-9]{0,9}", fullmatch=True), NAMES, st.one_of(st.none(), NAMES)
)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("image.tag", ("image", "tag")),
        ("spec.rules[0].backendRefs[1].weight", ("spec", "rules", 0, "backendRefs", 1, "weight")),
        ("containers[name=app].image", ("containers", Match("name", "app"), "image")),
        ('metadata.annotations["a.b/c"]', ("metadata", "annotations", "a.b/c")),
        ("metadata.annotations['it=[x]']", ("metadata", "annotations", "it=[x]")),
        ('a["say \\"hi\\" \\\\"]', ("a", 'say "hi" \\')),
        ('[0]["x"].y', (0, "x", "y")),
        ('list[url="a]b"].x', ("list", Match("url", "a]b"), "x")),
        ("list[url=http://a.b:80/c].x", ("list", Match("url", "http://a.b:80/c"), "x")),
        ("a/b.c-d_e.$f", ("a/b", "c-d_e", "$f")),
    ],
)
def test_what_owners_write(text: str, steps: tuple[object, ...]) -> None:
    """Keys, items by number and by field, and quoted keys."""
    assert parse_path(text) == FieldPath(steps)  # type: ignore[arg-type]


def test_a_document_is_named_before_the_path() -> None:
    """Kind and name, and the namespace where two objects share them."""
    assert parse_path("Deployment/checkout:spec.replicas") == FieldPath(
        ("spec", "replicas"), DocumentName("Deployment", "checkout")
    )
    path = parse_path("Deployment/shop/a.b:spec.replicas")
    assert path.document == DocumentName("Deployment", "a.b", "shop")
    assert str(path) == "Deployment/shop/a.b:spec.replicas"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1 to 512"),
        ("a\nb", "visible"),
        ("a" * 600, "1 to 512"),
        ("image..tag", 'goes wrong at "..tag", character 6; a dot stands between two keys only'),
        ("image.", 'goes wrong at ".", character 6'),
        (".image", "goes wrong at"),
        ("a.[0]", "a dot stands between two keys only"),
        ("a[0]b", "goes wrong at"),
        ("a[-1]", "counted from 0"),
        ("a[*].b", "brackets hold a number"),
        ("a.*", "goes wrong at"),
        ("*", "no wildcard"),
        ("a b", 'written ["a.b/c"]'),
        ("a:b", "only a document stands before a colon"),
        ("Deployment/checkout:", "names no field"),
        ("a[name=]", "brackets hold"),
        ('a["x]', "brackets hold"),
        (".".join("a" * 41), "deeper than 40"),
    ],
)
def test_what_is_no_path(text: str, said: str) -> None:
    """The message says at which character, and how it is written."""
    with pytest.raises(DeclarationError) as error:
        parse_path(text)
    assert said in str(error.value)


@given(st.lists(STEPS, min_size=1, max_size=8), st.one_of(st.none(), DOCUMENTS))
def test_a_path_is_written_as_it_is_read(steps: list[str | int | Match], document: DocumentName | None) -> None:
    """Any path, written and read again, is the same."""
    path = FieldPath(tuple(steps), document)
    assert parse_path(str(path)) == path


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    """Nothing but a path or a clear refusal comes out; a path that was read is written as the same place."""
    try:
        path = parse_path(text)
    except DeclarationError:
        return
    assert parse_path(str(path)) == path
