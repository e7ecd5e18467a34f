"""Notifications of registries, read into hints: every known shape, and whatever else may come."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.registry import BadNotification, read_hints
from controller.adapters.registry.webhooks import LARGEST_BODY, MOST_HINTS
from controller.core.promotion.image import ImageHint, ImageRepository, is_path, is_tag
from tests.servers.images import image, index
from tests.servers.receiver import Receiver
from tests.servers.registry import DockerRegistry

DIGEST = "sha256:" + "ab" * 32


def hints(body: Any) -> list[tuple[str, str, str]]:
    return [(each.registry, each.path, each.tag) for each in read_hints(json.dumps(body).encode())]


def distribution(action: str = "push", **target: Any) -> dict[str, Any]:
    media = "application/vnd.oci.image.manifest.v1+json"
    target = {"mediaType": media, "digest": DIGEST, "repository": "shop/checkout"} | target
    return {"id": "1", "timestamp": "2027-01-15T08:00:00Z", "action": action, "target": target}


HARBOR = {
    "resources": [{"digest": DIGEST, "tag": "v1", "resource_url": "harbor.example.com/shop/checkout:v1"}],
    "repository": {
        "name": "checkout",
        "namespace": "shop",
        "repo_full_name": "shop/checkout",
        "repo_type": "private",
    },
}
GITHUB_VERSION = {"id": 1, "container_metadata": {"tag": {"name": "v1", "digest": DIGEST}, "labels": {}}}
GITHUB = {
    "id": 1,
    "name": "checkout",
    "namespace": "Shop",
    "package_type": "CONTAINER",
    "package_version": GITHUB_VERSION,
}
SHOP = ("", "shop/checkout", "v1")
GHCR = ("ghcr.io", "shop/checkout", "v1")
HUB = {"pushed_at": 1_800_000_000, "pusher": "ann", "tag": "v1"}
ECR = {"result": "SUCCESS", "repository-name": "shop/checkout", "image-digest": DIGEST, "action-type": "PUSH"}

KNOWN: dict[str, tuple[Any, list[tuple[str, str, str]]]] = {
    "docker": ({"events": [distribution(tag="v1")]}, [SHOP]),
    "docker: several": (
        {"events": [distribution(tag="v1"), distribution(tag="v2"), distribution(tag="v1")]},
        [SHOP, ("", "shop/checkout", "v2")],
    ),
    "docker: a pull": ({"events": [distribution("pull", tag="v1")]}, []),
    "docker: a blob": ({"events": [distribution()]}, []),
    "docker: nothing": ({"events": []}, []),
    "azure": (distribution(tag="v1") | {"request": {"host": "shop.azurecr.io"}}, [SHOP]),
    "harbor": ({"type": "PUSH_ARTIFACT", "occur_at": 1, "operator": "ann", "event_data": HARBOR}, [SHOP]),
    "harbor: a deletion": ({"type": "DELETE_ARTIFACT", "event_data": HARBOR}, []),
    "harbor: CloudEvents": (
        {"specversion": "1.0", "id": "1", "source": "/projects/1", "type": "harbor.artifact.pushed", "data": HARBOR},
        [SHOP],
    ),
    "harbor: by digest alone": (
        {"type": "PUSH_ARTIFACT", "event_data": HARBOR | {"resources": [{"digest": DIGEST, "tag": DIGEST}]}},
        [("", "shop/checkout", "")],
    ),
    "github: package": ({"action": "published", "package": GITHUB, "repository": {"name": "x"}}, [GHCR]),
    "github: registry_package": (
        {"action": "updated", "registry_package": GITHUB | {"namespace": "", "owner": {"login": "shop"}}},
        [GHCR],
    ),
    "github: npm": ({"action": "published", "package": GITHUB | {"package_type": "npm"}}, []),
    "github: no tag": ({"action": "published", "package": GITHUB | {"package_version": None}}, [(*GHCR[:2], "")]),
    "hub": (
        {"push_data": HUB, "callback_url": "https://evil.example.com/", "repository": {"repo_name": "shop/checkout"}},
        [("docker.io", "shop/checkout", "v1")],
    ),
    "hub: official": (
        {"push_data": HUB, "repository": {"repo_name": "nginx"}},
        [("docker.io", "library/nginx", "v1")],
    ),
    "quay": (
        {"repository": "shop/checkout", "docker_url": "quay.io/shop/checkout", "updated_tags": ["v1", "v2"]},
        [("quay.io", "shop/checkout", "v1"), ("quay.io", "shop/checkout", "v2")],
    ),
    "quay: before": (
        {"repository": "shop/checkout", "docker_url": "quay.io/shop/checkout", "updated_tags": {"v1": "b750"}},
        [("quay.io", "shop/checkout", "v1")],
    ),
    "ecr": ({"source": "aws.ecr", "detail-type": "ECR Image Action", "detail": ECR | {"image-tag": "v1"}}, [SHOP]),
    "ecr: in CloudEvents": ({"specversion": "1.0", "type": "x", "data": ECR | {"image-tag": "v1"}}, [SHOP]),
    "ecr: a deletion": ({"detail": ECR | {"action-type": "DELETE"}}, []),
    "plain": (
        {"repository": "Registry.example.com:5000/shop/checkout", "tag": "v1"},
        [("registry.example.com:5000", "shop/checkout", "v1")],
    ),
    "plain: in CloudEvents": (
        {"specversion": "1.0", "type": "image.pushed", "data": {"repository": "ghcr.io/shop/checkout", "tag": "v1"}},
        [GHCR],
    ),
    "plain: no repository": ({"repository": "../../etc", "tag": "v1"}, []),
}


@pytest.mark.parametrize("name", KNOWN)
def test_each_known_shape_gives_its_hints(name: str) -> None:
    """As the registries document them: pushes give hints, everything else gives none."""
    body, expected = KNOWN[name]
    assert hints(body) == expected


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b"[" * 200_000, "no JSON object"),
        (b"{}", "of no registry that is known"),
        (b'{"specversion": "1.0", "data": "x"}', "of no registry that is known"),
        (b'{"specversion": "1.0", "data": {"specversion": "1.0", "data": {}}}', "of no registry that is known"),
        (b'{"action": "opened", "pull_request": {}}', "of no registry that is known"),
        (b" " * (LARGEST_BODY + 1), "has more than 1048576 bytes"),
    ],
)
def test_what_is_no_notification_is_told(body: bytes, said: str) -> None:
    """The sentence is for the sender."""
    with pytest.raises(BadNotification) as caught:
        read_hints(body)
    assert said in str(caught.value)


def test_hints_are_bounded() -> None:
    """A notification of very many pushes is a reason for so many polls, and no more."""
    body = {"events": [distribution(tag=f"v{number}") for number in range(3000)]}
    assert len(hints(body)) == MOST_HINTS


KEYS = ["events", "action", "target", "repository", "tag", "package", "registry_package", "package_version", "type"]
KEYS += [
    "package_type",
    "container_metadata",
    "name",
    "namespace",
    "push_data",
    "repo_name",
    "event_data",
    "resources",
]
KEYS += [
    "repo_full_name",
    "docker_url",
    "updated_tags",
    "detail",
    "repository-name",
    "action-type",
    "image-tag",
    "data",
]
KEYS += ["specversion", "owner", "login", "digest", "ecosystem"]
WORDS = [
    "push",
    "published",
    "PUSH",
    "PUSH_ARTIFACT",
    "container",
    "shop/checkout",
    "../x",
    "v1",
    "a b",
    "x:y",
    "quay.io/x",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(WORDS)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_any_json_gives_safe_hints_or_an_error(body: dict[str, Any]) -> None:
    """Whatever is built of the known names: a hint is always of a name that a registry could have."""
    try:
        found = read_hints(json.dumps(body).encode())
    except BadNotification:
        return
    assert len(found) <= MOST_HINTS
    for each in found:
        assert is_path(each.path)
        assert not each.tag or is_tag(each.tag)


@given(st.sampled_from(sorted(KNOWN)), st.data())
def test_a_known_notification_with_anything_in_one_place_is_read(name: str, data: st.DataObject) -> None:
    """One value of a real shape is exchanged: still hints or an error, and nothing else."""
    body = json.loads(json.dumps(KNOWN[name][0]))
    place = body
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(TREES)
        break
    try:
        found = read_hints(json.dumps(body).encode())
    except BadNotification:
        return
    assert all(is_path(each.path) for each in found)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """No byte gets further than a sentence."""
    try:
        assert isinstance(read_hints(body), tuple)
    except BadNotification:
        return


def test_a_real_registrys_notification_is_understood(tmp_path: Path) -> None:
    """What docker-registry posts after a push names the tag; blobs and what an index lists give no hints."""
    with Receiver() as receiver, DockerRegistry(tmp_path, notify=receiver.url) as server:
        server.push("shop/checkout", index({"linux/amd64": image()}), "v1")
        ours = ImageRepository(server.host, "shop/checkout")
        wanted = ImageHint("", "shop/checkout", "v1")
        posted = receiver.wait_for(lambda sent: any(wanted in read_hints(each.body) for each in sent))
        told = {hint for each in posted for hint in read_hints(each.body)}
        assert told == {wanted}
        assert wanted.concerns(ours)
