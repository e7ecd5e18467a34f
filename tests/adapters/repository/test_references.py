"""What is refused before any Git runs, and how URLs of one repository are recognised as one."""

import string
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.adapters.repository.references import (
    checked_branch,
    checked_path,
    checked_revision,
    covers,
    outermost,
)
from controller.adapters.repository.remote import parse_remote
from controller.core.git import canonical_url
from controller.ports.repository import InvalidReference

TRICKY = st.text(alphabet="ab/.-~^:?*[\\@{} \x00\x7f\n" + "é", max_size=12)


@settings(max_examples=60, deadline=None)
@given(TRICKY)
@example("a.lock/b")
@example("a@{b")
@example("@")
@example(".a")
@example("a/.b")
def test_no_branch_is_accepted_that_git_refuses(name: str) -> None:
    """Every accepted name passes git-check-ref-format too; ours may be stricter, never laxer."""
    try:
        checked_branch(name)
    except InvalidReference:
        return
    done = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert done.returncode == 0, name


@given(st.text(max_size=70))
def test_a_revision_is_hex_and_nothing_else(text: str) -> None:
    """Whatever is accepted has 40 or 64 lower-case hex digits."""
    try:
        checked_revision(text)
    except InvalidReference:
        return
    assert len(text) in (40, 64)
    assert set(text) <= set(string.hexdigits.lower())


@given(st.text(alphabet="ab/.:\x00\n", max_size=12))
def test_an_accepted_path_stays_inside(path: str) -> None:
    """Whatever is accepted has no part that leads out and no pathspec magic."""
    try:
        checked_path(path)
    except InvalidReference:
        return
    assert path == "" or all(part not in ("", ".", "..") for part in path.split("/"))
    assert not path.startswith((":", "/"))


def test_good_names_are_accepted() -> None:
    """Ordinary names, Unicode ones too."""
    assert checked_branch("rollguard/restore-shop-1a2b3c") == "rollguard/restore-shop-1a2b3c"
    assert checked_branch("größe") == "größe"
    assert checked_path("apps/shop (old)/ü*.yaml") == "apps/shop (old)/ü*.yaml"
    assert checked_revision("a" * 64) == "a" * 64


def test_outermost_paths() -> None:
    """A path inside another is left out, one that only begins alike is not."""
    assert outermost(["apps/a/b", "apps/a", "apps/ab"]) == ("apps/a", "apps/ab")
    assert outermost(["x", ""]) == ("",)
    assert not covers("apps/a", "apps/ab")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://GitHub.com/Shop/Manifests.git", "https://github.com/shop/manifests"),
        ("git@github.com:shop/manifests.git", "ssh://git@github.com/shop/manifests"),
        ("https://ann:secret@git.example.com/a", "https://git.example.com/a/"),
        ("/srv/Git/a.git", "file:///srv/Git/a"),
    ],
)
def test_urls_of_one_repository(one: str, other: str) -> None:
    """Spellings that Argo CD takes for one repository have one canonical form, without who logs in over https."""
    assert canonical_url(one) == canonical_url(other)
    assert "secret" not in canonical_url(one)
    assert canonical_url(canonical_url(one)) == canonical_url(one)


def test_urls_of_different_repositories() -> None:
    """Https and ssh stay different, and so do local paths that differ in case."""
    assert canonical_url("https://h/p") != canonical_url("ssh://git@h/p")
    assert canonical_url("/srv/A") != canonical_url("/srv/a")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ext::sh -c 'touch /tmp/x'",
        "ext::sh",
        "git://host/path",
        "ftp://host/path",
        "--upload-pack=evil",
        "ssh://-oProxyCommand=evil/x",
        "ssh://host/-x",
        "-oProxyCommand=evil:x",
        "git@-evil:x",
        "https://host",
        "https://user:secret@host/path",
        "https://host/a b",
        "https://host/a\nb",
        "file://host/path",
        "relative/path",
        "host:-x",
        "fd::7/x",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """Other transports, hosts that are options, passwords in the URL; what is said shows no password."""
    with pytest.raises(InvalidReference) as error:
        parse_remote(url)
    assert "secret" not in str(error.value)


def test_urls_are_taken_apart() -> None:
    """Scheme, origin and user."""
    web = parse_remote("https://ann@git.example.com:8443/shop/m.git")
    assert (web.scheme, web.origin, web.user) == ("https", "https://git.example.com:8443", "ann")
    assert web.url == "https://git.example.com:8443/shop/m.git"
    scp = parse_remote("git@github.com:shop/m.git")
    assert (scp.scheme, scp.user, scp.url) == ("ssh", "git", "git@github.com:shop/m.git")
    assert parse_remote("/srv/m.git").url == "file:///srv/m.git"
    assert parse_remote("http://127.0.0.1:3000/m").loopback
