"""Argo CD's repository Secrets: what they say, and which one is for a repository. Pure.

Secrets for writing go before those for reading, a repository's own before a template's (the longest prefix of its URL).
A repository's own Secret without credentials takes a template's, as in Argo CD. Beyond Argo CD's rule a prefix ends where a
part of the URL ends: ``https://git.example.com`` is no prefix of ``https://git.example.com.evil.org/x``.

Invariant: a Secret that cannot be read as one of these, or asks for less security than we have, is refused with a sentence
that repeats none of its values.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from controller.adapters.kubernetes import fields
from controller.core.git import canonical_url

LABEL = "argocd.argoproj.io/secret-type"
_WRITE = "repository-write"
_WRITE_TEMPLATE = "repo-write-creds"
_READ = "repository"
_READ_TEMPLATE = "repo-creds"
_KINDS = (_WRITE, _WRITE_TEMPLATE, _READ, _READ_TEMPLATE)
"""In the order in which they are looked through."""
_TEMPLATES = frozenset({_WRITE_TEMPLATE, _READ_TEMPLATE})
_LARGEST = 64 * 1024
_TRUE = frozenset({"1", "t", "true"})


class SecretRefused(Exception):  # noqa: N818  an outcome
    """A Secret cannot be used; the text says why, and names no value of it."""


@dataclass(frozen=True, slots=True)
class AppKey:
    """A GitHub App's installation."""

    app_id: str
    installation_id: str
    private_key: str = field(repr=False)
    api_url: str = ""
    """Empty: derived from the repository's URL."""


@dataclass(frozen=True, slots=True)
class RepositorySecret:
    """One of Argo CD's Secrets for Git. Its repr shows no secret."""

    name: str
    kind: str
    place: str
    """The repository's canonical URL, or a prefix of it."""
    type: str = "git"
    project: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    app: AppKey | None = None
    client_cert: str = field(default="", repr=False)
    client_key: str = field(default="", repr=False)
    insecure: bool = False
    proxy: str = field(default="", repr=False)
    no_proxy: str = ""

    @property
    def logs_in(self) -> bool:
        """Whether there is anything in it by which to log in."""
        ways = (self.password, self.bearer_token, self.ssh_key, self.client_cert)
        return self.app is not None or any(ways)

    @property
    def words(self) -> tuple[str, ...]:
        """The secrets in it that are one word: what a log could show by accident."""
        login = self.proxy.partition("://")[2].rpartition("@")[0]
        return tuple(each for each in (self.password, self.bearer_token, login, login.partition(":")[2]) if each)


def parse_secret(document: Mapping[str, Any]) -> RepositorySecret:
    """Read a Secret of the API server's.

    Raises:
        SecretRefused: it is none of Argo CD's for repositories, or has values that cannot be read.
    """
    metadata = fields.mapping(document, "metadata")
    kind = str(fields.mapping(metadata, "labels").get(LABEL, ""))
    if kind not in _KINDS:
        raise SecretRefused(f"its label {LABEL} is none of {', '.join(sorted(_KINDS))}")
    texts = {str(key): _text(str(key), value) for key, value in fields.mapping(document, "data").items()}
    said = texts.get
    if not said("url"):
        raise SecretRefused("it has no url")
    return RepositorySecret(
        name=str(metadata.get("name", "")),
        kind=kind,
        place=canonical_url(said("url", "")),
        type=said("type", "") or "git",
        project=said("project", ""),
        username=said("username", ""),
        password=said("password", ""),
        bearer_token=said("bearerToken", ""),
        ssh_key=said("sshPrivateKey", ""),
        app=_app(texts),
        client_cert=said("tlsClientCertData", ""),
        client_key=said("tlsClientCertKey", ""),
        insecure=any(said(key, "").lower() in _TRUE for key in ("insecure", "insecureIgnoreHostKey")),
        proxy=said("proxy", ""),
        no_proxy=said("noProxy", ""),
    )


def choose(url: str, secrets: Iterable[RepositorySecret]) -> RepositorySecret | None:
    """The Secret by which to log in to a repository; None: there is none.

    Where several are as good, one that is bound to no project goes first, then the name decides.
    """
    place = canonical_url(url)
    fitting = [each for each in secrets if _fits(each, place)]
    fitting.sort(key=lambda each: (_KINDS.index(each.kind), -len(each.place), bool(each.project), each.name))
    found = next((each for each in fitting if each.logs_in), None)
    if found is None or found.kind not in _TEMPLATES:
        return found
    return _joined(found, fitting)


def _joined(template: RepositorySecret, fitting: Iterable[RepositorySecret]) -> RepositorySecret:
    """A template with what the repository's own Secret, which has no credentials, says of the way to the server."""
    own = next((each for each in fitting if each.kind not in _TEMPLATES), None)
    if own is None:
        return template
    return replace(
        template,
        type=own.type if own.type != "git" else template.type,
        insecure=own.insecure or template.insecure,
        proxy=own.proxy or template.proxy,
        no_proxy=own.no_proxy or template.no_proxy,
    )


def _fits(secret: RepositorySecret, place: str) -> bool:
    if secret.kind in _TEMPLATES:
        return place == secret.place or place.startswith(secret.place + "/")
    return place == secret.place


def _app(texts: Mapping[str, str]) -> AppKey | None:
    key = texts.get("githubAppPrivateKey", "")
    if not key:
        return None
    app, installation = texts.get("githubAppID", ""), texts.get("githubAppInstallationID", "")
    if not (app.isdecimal() and installation.isdecimal()):
        raise SecretRefused("githubAppPrivateKey needs githubAppID and githubAppInstallationID, both numbers")
    return AppKey(app, installation, key, texts.get("githubAppEnterpriseBaseUrl", "").rstrip("/"))


def _text(key: str, value: object) -> str:
    try:
        content = base64.b64decode(str(value), validate=True)
        if len(content) <= _LARGEST:
            return content.decode().strip()
    except (binascii.Error, ValueError):
        pass
    raise SecretRefused(f"its {key[:40]} is no text, or larger than {_LARGEST} bytes")
