"""How images are named: one spelling for each repository, and nothing else into a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.core.declared import DeclarationError
from controller.core.promotion.image import ImageFacts, ImageHint, ImageRepository, checked_host, is_digest, is_tag


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("registry.example.com:5000/shop/checkout", "registry.example.com:5000/shop/checkout"),
        ("Registry.Example.com/shop/a__b/c-d.e", "registry.example.com/shop/a__b/c-d.e"),
        ("localhost/x", "localhost/x"),
        ("[::1]:5000/x", "[::1]:5000/x"),
        ("nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/bitnami/nginx", "docker.io/bitnami/nginx"),
        ("bitnami/nginx", "docker.io/bitnami/nginx"),
        (" ghcr.io/shop/checkout ", "ghcr.io/shop/checkout"),
    ],
)
def test_a_repository_has_one_spelling(text: str, name: str) -> None:
    """Hosts in lower case, Docker Hub's short names in full; what was written so is read as the same again."""
    assert str(ImageRepository.parse(text)) == name
    assert ImageRepository.parse(name) == ImageRepository.parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no name of an image"),
        ("https://ghcr.io/shop", "is a URL"),
        ("ghcr.io/shop/checkout:v1", "names a tag or a digest too; leave it out"),
        ("ghcr.io/shop/checkout@sha256:abc", "names a tag or a digest too"),
        ("ghcr.io/Shop/checkout", "has capital letters; names of images are in lower case"),
        ("ghcr.io/../checkout", "is no name of an image"),
        ("ghcr.io/shop//checkout", "is no name of an image"),
        ("ghcr.io/shop/checkout?x", "is no name of an image"),
        ("ghcr.io/shop/-checkout", "is no name of an image"),
        ("ghcr.io:99999/shop", "is no host of a registry"),
        ("gh cr.io/shop", "is no host of a registry"),
        ("ghcr.io/" + "a" * 255, "is longer than 255 characters"),
    ],
)
def test_what_is_no_repository_is_told(text: str, said: str) -> None:
    """The sentence says what is wrong, and mostly what to write."""
    with pytest.raises(DeclarationError) as caught:
        ImageRepository.parse(text)
    assert said in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"[a-zA-Z0-9._:/@\[\]-]{1,60}", fullmatch=True))
def test_any_text_is_a_repository_or_an_error(text: str) -> None:
    """Whatever is written ends in a name that is safe in a URL, or in a DeclarationError."""
    try:
        found = ImageRepository.parse(text)
    except DeclarationError:
        return
    assert not set(str(found)) & set("?#%\\ @\n")
    assert ".." not in found.path
    assert ImageRepository.parse(str(found)) == found


def test_a_user_in_a_host_is_not_repeated() -> None:
    """It may be followed by a password."""
    for text in ("robot:s3cret@ghcr.io", "https://robot:s3cret@ghcr.io"):
        with pytest.raises(DeclarationError) as caught:
            checked_host(text)
        assert "s3cret" not in str(caught.value)


def test_tags_and_digests_follow_the_grammar() -> None:
    """A tag has at most 128 characters of a small set; a digest is whole, in lower case."""
    assert all(map(is_tag, ["v1", "_x", "1.0.0_build", "a" * 128]))
    assert not any(map(is_tag, ["", ".x", "-x", "a/b", "a:b", "a" * 129, "v1\n", "ü"]))
    assert is_digest("sha256:" + "0a" * 32)
    assert is_digest("sha512:" + "0a" * 64)
    assert not any(
        map(is_digest, ["sha256:abc", "sha256:" + "0A" * 32, "md5:" + "0" * 32, "sha256:" + "0" * 64 + "\n"])
    )


def test_a_hint_concerns_a_path_wherever_the_sender_is_known_by_another_name() -> None:
    """Without a registry's name any with the path; with one, that alone."""
    ours = ImageRepository("registry.example.com", "shop/checkout")
    assert ImageHint("", "shop/checkout", "v1").concerns(ours)
    assert ImageHint("registry.example.com", "shop/checkout", "").concerns(ours)
    assert not ImageHint("ghcr.io", "shop/checkout", "v1").concerns(ours)
    assert not ImageHint("", "shop/cart", "v1").concerns(ours)


def test_facts_without_labels_say_nothing() -> None:
    """Commit and source are empty where the image does not name them."""
    facts = ImageFacts("sha256:" + "0" * 64, None)
    assert (facts.revision, facts.source) == ("", "")
