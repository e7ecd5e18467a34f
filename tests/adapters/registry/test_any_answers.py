"""Whatever a registry's documents and headers hold, reading them ends in a value or in an error of the port's."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.registry.access import RegistryAccess, origin_of
from controller.adapters.registry.answers import LONGEST_PAUSE, raise_for, retry_after
from controller.adapters.registry.challenge import Challenge, read_challenge
from controller.adapters.registry.manifests import chosen, config_of, facts_of, moment, read_config, read_document
from controller.adapters.registry.session import Answer
from controller.core.promotion.image import LONGEST_LABEL, MOST_LABELS, is_digest
from controller.ports.registry import RegistryError, RegistryMalformed

KEYS = [
    "schemaVersion",
    "mediaType",
    "manifests",
    "config",
    "digest",
    "size",
    "platform",
    "os",
    "architecture",
    "created",
]
KEYS += ["annotations", "Labels", "org.opencontainers.image.created", "errors", "code", "tags"]
WORDS = ["sha256:" + "0" * 64, "application/vnd.oci.image.config.v1+json", "linux", "amd64", "2027-01-15T08:00:00Z"]
WORDS += ["application/vnd.oci.image.manifest.v1+json", "NAME_UNKNOWN", "TOOMANYREQUESTS"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.just(2)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), TREES, max_size=6)


@given(OBJECTS, OBJECTS)
def test_any_manifest_and_configuration_are_read_or_malformed(
    manifest: dict[str, Any], config: dict[str, Any]
) -> None:
    """A manifest names a real digest or nothing; facts keep their bounds."""
    try:
        document = read_document(json.dumps(manifest | {"schemaVersion": 2}).encode(), "", "", "x")
        body = json.dumps(config).encode()
        created, labels = read_config(body, f"sha256:{hashlib.sha256(body).hexdigest()}", "x")
        facts = facts_of(document, document, created, labels)
        assert is_digest(facts.digest)
        assert len(facts.labels) <= MOST_LABELS
        assert all(value.isprintable() and len(value) <= LONGEST_LABEL for _, value in facts.labels)
        named = chosen(document, "x") if document.is_index else config_of(document, "x")
        assert named is None or is_digest(named.digest)
    except RegistryMalformed:
        return


@given(st.binary(max_size=100), st.text(max_size=40))
def test_any_bytes_are_a_document_or_malformed(body: bytes, kind: str) -> None:
    """No byte raises anything else."""
    for read in (
        lambda: read_document(body, "", kind, "x"),
        lambda: read_config(body, f"sha256:{hashlib.sha256(body).hexdigest()}", "x"),
    ):
        try:
            read()
        except RegistryMalformed:
            continue


@given(st.text(alphabet='Bbearsicmov=",\\ :/htps.@x', max_size=80) | st.text(max_size=40))
def test_any_challenge_is_a_safe_way_or_a_sentence(header: str) -> None:
    """A realm is of TLS, of a registry that is spoken to by it."""
    for text in (header, f'Bearer realm="{header}"', f"Bearer {header},realm=https://a.example.com/t"):
        found = read_challenge(text, RegistryAccess.to("registry.example.com"))
        if isinstance(found, Challenge) and not found.basic:
            assert origin_of(found.token_url("shop/x")).startswith("https://")
        assert found


@given(st.integers(min_value=400, max_value=599), TREES, st.text(max_size=30))
def test_any_refusal_is_an_error_of_the_port(status: int, tree: object, header: str) -> None:
    """With a bounded text, whatever the body and the headers hold; a pause is between a second and an hour."""
    answer = Answer("https://x/", status, {"Retry-After": header, "Content-Type": header}, json.dumps(tree).encode())
    with pytest.raises(RegistryError) as caught:
        raise_for(answer, "x", 1_800_000_000.0)
    assert str(caught.value).startswith(f"x: {status}")
    assert len(str(caught.value)) <= 300
    assert 1 <= retry_after(answer.headers, 1_800_000_000.0) <= LONGEST_PAUSE


@given(
    st.text(max_size=42)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{1,18}(Z|[+-][0-9:]{1,8})", fullmatch=True)
)
def test_any_time_is_one_or_none(text: str) -> None:
    """No text raises."""
    found = moment(text)
    assert found is None or isinstance(found, float)
