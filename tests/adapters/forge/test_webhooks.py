"""Webhooks of forges: genuine, bounded, counted once; and what they hint at."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.forge.deliveries import MOST, WINDOW, SeenDeliveries
from controller.adapters.forge.webhook_events import hint_in
from controller.adapters.forge.webhooks import LARGEST_BODY, ForgeWebhooks, WebhookRefused, check_length
from controller.core.forge_links import ForgeKind
from controller.core.hints import HintKind
from tests.fakes.manual_clock import ManualClock

SECRET = "canarysecret"
HTTPS, SSH = "https://git.example.com/shop/manifests", "ssh://git@git.example.com/shop/manifests"
REPOSITORY = {
    "clone_url": "https://git.example.com/Shop/manifests.git",
    "ssh_url": "git@git.example.com:shop/manifests.git",
    "html_url": "https://git.example.com/shop/manifests",
}
PROJECT = {"git_http_url": REPOSITORY["clone_url"], "git_ssh_url": REPOSITORY["ssh_url"]}
PUSH = {"ref": "refs/heads/main", "repository": REPOSITORY}


class Door:
    """A receiver of one forge, and how that forge signs."""

    def __init__(self, kind: ForgeKind, folder: Path) -> None:
        self.kind = kind
        self.file = folder / "secret"
        self.file.write_text(SECRET + "\n")
        self.clock = ManualClock()
        self.hooks = ForgeWebhooks(kind, self.file, self.clock)

    def headers(self, body: bytes, *, secret: str = SECRET, event: str = "push", id_: str = "1") -> dict[str, str]:
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        if self.kind is ForgeKind.GITHUB:
            return {"x-hub-signature-256": f"sha256={signed}", "x-github-event": event, "x-github-delivery": id_}
        if self.kind is ForgeKind.GITEA:
            return {"x-gitea-signature": signed, "x-gitea-event": event, "x-gitea-delivery": id_}
        return {"x-gitlab-token": secret, "x-gitlab-event": f"{event.title()} Hook", "idempotency-key": id_}

    def take(self, data: Any, **how: str) -> Any:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.hooks.take(self.headers(body, **how), body)

    def push(self, **more: Any) -> dict[str, Any]:
        return {"ref": "refs/heads/main", "repository": REPOSITORY, "project": PROJECT, **more}


@pytest.fixture(params=list(ForgeKind))
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Door:
    return Door(request.param, tmp_path)


def refused(door: Door, headers: dict[str, str], body: bytes) -> WebhookRefused:
    with pytest.raises(WebhookRefused) as caught:
        door.hooks.take(headers, body)
    assert SECRET not in str(caught.value)
    return caught.value


def test_a_genuine_push_hints_at_its_branch(door: Door) -> None:
    """The repository is named by all its URLs, in the spelling that the settings are compared in."""
    hint = door.take(door.push())
    assert (hint.kind, hint.branch) == (HintKind.PUSH, "main")
    assert {HTTPS, SSH} <= hint.repositories


def test_what_is_not_signed_or_signed_by_another_is_refused(door: Door) -> None:
    """No signature, another secret's, another body's, an empty one."""
    body = json.dumps(door.push()).encode()
    event = {name: value for name, value in door.headers(body).items() if "event" in name}
    assert refused(door, event, body).status == 401
    assert refused(door, door.headers(body, secret="other"), body).status == 401
    empty = {name: ("" if "signature" in name or "token" in name else value) for name, value in event.items()}
    assert refused(door, empty, body).status == 401
    if door.kind is not ForgeKind.GITLAB:  # which signs no body
        assert refused(door, door.headers(body), body + b" ").status == 401
    strange = {name: "\udcff\u00e4" if name not in event else value for name, value in door.headers(body).items()}
    assert refused(door, strange, body).status == 401


def test_a_rotated_secret_counts_at_once(door: Door) -> None:
    """It is read at each request; a missing one is the receiver's trouble, and never "accept all"."""
    door.file.write_text("rotated")
    assert door.take(door.push(), secret="rotated") is not None
    door.file.write_text("")
    body = b"{}"
    assert refused(door, door.headers(body, secret=""), body).status == 503
    door.file.unlink()
    assert refused(door, door.headers(body), body).status == 503


def test_a_delivery_counts_once(door: Door) -> None:
    """The same id, and on forges that sign the body alone the same body under another id; later it counts again."""
    assert door.take(door.push()) is not None
    assert door.take(door.push()) is None
    again = door.take(door.push(), id_="2")
    assert (again is None) == (door.kind is not ForgeKind.GITLAB)
    assert door.take(door.push(after="x"), id_="3") is not None
    door.clock.advance(WINDOW + 1)
    assert door.take(door.push()) is not None


def test_what_is_not_genuine_is_not_remembered(door: Door) -> None:
    """Somebody without the secret cannot have a delivery taken for a repeat."""
    body = json.dumps(door.push()).encode()
    refused(door, door.headers(body, secret="other"), body)
    assert door.take(door.push()) is not None


def test_what_was_seen_is_bounded() -> None:
    """However many deliveries come; the oldest go first."""
    seen = SeenDeliveries(most=100)
    for at in range(1000):
        assert seen.first(str(at).encode(), now=float(at))
    assert len(seen) == 100
    assert not seen.first(b"999", now=1000.0)
    assert seen.first(b"0", now=1000.0)
    assert MOST * 200 < 10_000_000  # bytes, roughly


@pytest.mark.parametrize(
    ("declared", "status"), [(None, 411), ("x", 400), ("-1", 400), ("104857600", 413), ("9" * 40, 413)]
)
def test_a_large_body_is_refused_by_its_length(declared: str | None, status: int) -> None:
    """A webhook of 100 MB is refused before any of it is read."""
    with pytest.raises(WebhookRefused) as caught:
        check_length(declared)
    assert caught.value.status == status
    check_length(str(LARGEST_BODY))


def test_a_body_that_is_too_large_after_all_is_refused(door: Door) -> None:
    """However it was declared."""
    body = b"[" * (LARGEST_BODY + 1)
    assert refused(door, door.headers(body), body).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        b"not json",
        b"payload=%7B%7D",
        b"[]",
        b"\xff\xfe",
        b'"' + b'\\"' * 500_000,
        b"",
    ],
)
def test_what_is_no_flat_object_is_refused(door: Door, body: bytes) -> None:
    """Deep, broken, form-encoded or no object: a clear 400, in bounded time."""
    assert refused(door, door.headers(body), body).status == 400


def test_brackets_in_strings_are_no_depth(door: Door) -> None:
    """A commit's message may hold as many as it likes."""
    assert door.take(door.push(message="[" * 1000 + '\\"{' * 1000)) is not None


def test_other_events_hint_at_nothing(door: Door) -> None:
    """A ping is genuine, and no reason to look."""
    assert door.take(door.push(), event="ping") is None


PULL = {"number": 7, "head": {"ref": "rollguard/x"}}
GITHUB_EVENTS = [
    ("push", {"ref": "refs/tags/v1.2.3"}, (HintKind.TAG, "", "v1.2.3", None)),
    ("create", {"ref": "v1.2.3", "ref_type": "tag"}, (HintKind.TAG, "", "v1.2.3", None)),
    ("create", {"ref": "feature", "ref_type": "branch"}, (HintKind.PUSH, "feature", "", None)),
    ("pull_request", {"number": 7, "pull_request": PULL}, (HintKind.PULL_REQUEST, "rollguard/x", "", 7)),
    ("pull_request_review", {"pull_request": PULL}, (HintKind.REVIEW, "rollguard/x", "", 7)),
    ("pull_request_approved", {"number": 7, "pull_request": PULL}, (HintKind.REVIEW, "rollguard/x", "", 7)),
    ("status", {"branches": [{"name": "main"}]}, (HintKind.CHECK, "main", "", None)),
    ("check_run", {"check_run": {"check_suite": {"head_branch": "main"}}}, (HintKind.CHECK, "main", "", None)),
    ("check_suite", {"check_suite": {"head_branch": "main"}}, (HintKind.CHECK, "main", "", None)),
]
MERGE_REQUEST = {"iid": 7, "source_branch": "rollguard/x"}
GITLAB_EVENTS = [
    ("Tag Push Hook", {"ref": "refs/tags/v1"}, (HintKind.TAG, "", "v1", None)),
    ("Merge Request Hook", {"object_attributes": MERGE_REQUEST}, (HintKind.PULL_REQUEST, "rollguard/x", "", 7)),
    (
        "Merge Request Hook",
        {"object_attributes": {**MERGE_REQUEST, "action": "approved"}},
        (HintKind.REVIEW, "rollguard/x", "", 7),
    ),
    ("Pipeline Hook", {"object_attributes": {"ref": "main"}}, (HintKind.CHECK, "main", "", None)),
]


@pytest.mark.parametrize(
    ("kind", "event", "data", "expected"),
    [(ForgeKind.GITHUB, *each) for each in GITHUB_EVENTS]
    + [(ForgeKind.GITEA, *each) for each in GITHUB_EVENTS]
    + [(ForgeKind.GITLAB, *each) for each in GITLAB_EVENTS],
)
def test_events_hint_at_what_they_tell(kind: ForgeKind, event: str, data: Any, expected: Any) -> None:
    """Tags, branches, pull requests, reviews and checks of each forge."""
    hint = hint_in(kind, event, {"repository": REPOSITORY, "project": PROJECT, **data})
    assert hint is not None
    assert (hint.kind, hint.branch, hint.tag, hint.number) == expected
    assert HTTPS in hint.repositories


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted({*PULL, *PUSH})), inner),
    max_leaves=8,
)
known = [(kind, each[0]) for kind in (ForgeKind.GITHUB, ForgeKind.GITEA) for each in GITHUB_EVENTS]


@given(
    st.sampled_from([*known, *((ForgeKind.GITLAB, each[0]) for each in GITLAB_EVENTS)]),
    st.dictionaries(
        st.sampled_from(
            ["repository", "project", "ref", "ref_type", "pull_request", "number", "branches", "object_attributes"]
        ),
        json_values | st.just(REPOSITORY),
    ),
)
def test_no_event_raises(event: tuple[ForgeKind, str], data: dict[str, Any]) -> None:
    """Whatever stands where: a hint or none."""
    hint = hint_in(*event, data)
    assert hint is None or hint.repositories
