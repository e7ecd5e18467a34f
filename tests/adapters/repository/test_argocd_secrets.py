"""Argo CD's repository Secrets: how they are read, and which one is for a repository."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.adapters.repository.argocd_secrets import (
    LABEL,
    RepositorySecret,
    SecretRefused,
    choose,
    parse_secret,
)

URL = "https://git.example.com/shop/manifests.git"


def document(name: str = "one", kind: str | None = "repository", **data: str) -> dict[str, Any]:
    labels = {LABEL: kind} if kind is not None else {}
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": {"name": name, "labels": labels}, "data": encoded}


def secret(name: str, kind: str, url: str = URL, **data: str) -> RepositorySecret:
    return parse_secret(document(name, kind, **({"url": url, "password": "pw-" + name} | data)))


def test_every_key_is_read() -> None:
    """The keys as Argo CD documents them; white space around a value is no part of it."""
    found = parse_secret(
        document(
            "all",
            "repo-write-creds",
            url=" https://Git.example.com/Shop/ \n",
            type="git",
            project="shop",
            username="bot",
            password="pw\n",
            bearerToken="bt",
            sshPrivateKey="key",
            githubAppID="1",
            githubAppInstallationID="2",
            githubAppPrivateKey="pem",
            githubAppEnterpriseBaseUrl="https://ghe.example.com/api/v3/",
            tlsClientCertData="cert",
            tlsClientCertKey="cert-key",
            insecure="false",
            insecureIgnoreHostKey="true",
            proxy="http://u:proxy-pw@127.0.0.1:3128",
            noProxy="a,b",
            depth="1",
        )
    )
    assert (found.kind, found.place, found.project) == ("repo-write-creds", "https://git.example.com/shop", "shop")
    assert (found.username, found.password, found.bearer_token, found.ssh_key) == ("bot", "pw", "bt", "key")
    assert found.app is not None
    assert (found.app.app_id, found.app.installation_id, found.app.private_key) == ("1", "2", "pem")
    assert found.app.api_url == "https://ghe.example.com/api/v3"
    assert (found.client_cert, found.client_key, found.insecure) == ("cert", "cert-key", True)
    assert (found.proxy, found.no_proxy) == ("http://u:proxy-pw@127.0.0.1:3128", "a,b")
    assert {"pw", "bt", "proxy-pw"} <= set(found.words)


def test_no_repr_shows_a_secret() -> None:
    """Whatever prints one by accident, such as a traceback, prints none of its values."""
    canaries = {
        "password": "canary-1",
        "bearerToken": "canary-2",
        "sshPrivateKey": "canary-3",
        "githubAppPrivateKey": "canary-4",
        "tlsClientCertKey": "canary-5",
        "proxy": "http://canary-6@h",
    }
    found = parse_secret(document(url=URL, githubAppID="1", githubAppInstallationID="2", **canaries))
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (document(kind=None, url=URL), "label"),
        (document(kind="cluster", url=URL), "label"),
        (document(password="canary"), "no url"),
        (document(url=URL, githubAppPrivateKey="canary", githubAppID="x"), "githubAppID"),
        ({"metadata": {"name": "x", "labels": {LABEL: "repository"}}, "data": {"url": "*canary*"}}, "its url"),
        ({"metadata": {"name": "x", "labels": {LABEL: "repository"}}, "data": {"url": 7}}, "its url"),
        (document(url=URL, password="canary" * 20_000), "its password"),
        ({"metadata": None, "data": []}, "label"),
    ],
)
def test_what_is_no_repository_secret_is_refused_with_its_reason(refused: dict[str, Any], said: str) -> None:
    """One sentence, which repeats no value."""
    with pytest.raises(SecretRefused, match=said) as caught:
        parse_secret(refused)
    assert "canary" not in str(caught.value)


def test_secrets_for_writing_go_first_then_exact_ones_then_the_longest_prefix() -> None:
    """The order, by taking the best away one by one."""
    ordered = [
        secret("write", "repository-write"),
        secret("write-longer", "repo-write-creds", "https://git.example.com/shop"),
        secret("write-short", "repo-write-creds", "https://git.example.com"),
        secret("read", "repository"),
        secret("read-project", "repository", project="shop"),
        secret("read-longer", "repo-creds", "https://git.example.com/shop/"),
        secret("read-short", "repo-creds", "https://git.example.com"),
    ]
    for first in range(len(ordered)):
        found = choose(URL, reversed(ordered[first:]))
        assert found is not None
        assert found.name == ordered[first].name
    assert choose(URL, []) is None


@pytest.mark.parametrize(
    ("kind", "place", "fits"),
    [
        ("repository", "https://bot@GIT.example.com/Shop/Manifests", True),
        ("repository", "https://git.example.com/shop/manifests.git/", True),
        ("repository", "https://git.example.com/shop", False),
        ("repository", "http://git.example.com/shop/manifests.git", False),
        ("repository", "git@git.example.com:shop/manifests.git", False),
        ("repo-creds", URL, True),
        ("repo-creds", "https://git.example.com/shop", True),
        ("repo-creds", "https://git.example.com/sho", False),
        ("repo-creds", "https://git.example", False),
    ],
)
def test_urls_are_compared_as_repositories_are(kind: str, place: str, fits: bool) -> None:
    """Spellings of one place are one; a prefix ends where a part of the URL does."""
    assert (choose(URL, [secret("one", kind, place)]) is not None) is fits


def test_ssh_urls_of_both_spellings_are_one() -> None:
    """``git@host:path`` is ``ssh://git@host/path``, for a template too."""
    for place in ("git@git.example.com:shop/manifests", "ssh://git@git.example.com/shop"):
        found = choose("ssh://git@git.example.com/shop/manifests.git", [secret("one", "repo-creds", place)])
        assert found is not None


def test_a_repository_without_credentials_takes_a_templates() -> None:
    """As in Argo CD; its own proxy and its wish to skip checks stay with it."""
    own = secret("own", "repository", password="", proxy="http://127.0.0.1:1", insecure="true")
    template = secret("template", "repo-creds", "https://git.example.com")
    found = choose(URL, [own, template])
    assert found is not None
    assert (found.name, found.password, found.proxy) == ("template", "pw-template", "http://127.0.0.1:1")
    assert found.insecure
    assert choose(URL, [own]) is None


@given(st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=30), st.integers(), st.none()), max_size=5))
def test_any_data_is_read_or_refused(data: dict[str, Any]) -> None:
    """Nothing else is raised, whatever stands in a Secret."""
    hostile = {"metadata": {"name": "x", "labels": {LABEL: "repo-creds"}}, "data": data}
    with contextlib.suppress(SecretRefused):
        choose(URL, [parse_secret(hostile)])
