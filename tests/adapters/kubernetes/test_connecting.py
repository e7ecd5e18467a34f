"""Where the API server is, and that a token which is renewed is used."""

import json
from pathlib import Path

import pytest

from controller.adapters.kubernetes import connecting
from controller.adapters.kubernetes.client import Api
from controller.adapters.kubernetes.errors import ApiUnavailable
from controller.adapters.kubernetes.resources import CONFIG_MAPS
from tests.adapters.kubernetes.hostile import HostileServer, answer


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pod's service account; its certificate is any file, as nothing here speaks TLS."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    for name, text in (("token", "one\n"), ("ca.crt", "-----BEGIN CERTIFICATE-----\n"), ("namespace", "rollguard\n")):
        (tmp_path / name).write_text(text)
    return tmp_path


def authorization(configuration: object) -> str:
    return str(configuration.auth_settings()["BearerToken"]["value"])  # type: ignore[attr-defined]


def test_a_pod_knows_its_server_and_its_namespace(account: Path) -> None:
    """From the environment and the service account's files."""
    configuration, namespace = connecting.from_pod(account)
    assert namespace == "rollguard"
    assert configuration.host == "https://127.0.0.1:6443"
    assert configuration.ssl_ca_cert == str(account / "ca.crt")
    assert authorization(configuration) == "Bearer one"


def test_a_renewed_token_is_used(account: Path, server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is read again; while it is away, empty or no text the last token stays."""
    monkeypatch.setattr(connecting, "TOKEN_SECONDS", 0.0)
    configuration, _ = connecting.from_pod(account)
    configuration.host = f"http://127.0.0.1:{server.port}"
    api = Api(configuration)
    token = account / "token"
    for change in (
        lambda: token.write_text("two"),
        token.unlink,
        lambda: token.write_bytes(b"\xff\xfe"),
        lambda: token.write_text(""),
        lambda: token.write_text("three"),
    ):
        change()
        server.answers.append(answer({}))
        api.get(CONFIG_MAPS, "shop", "x")
    sent = [each.headers["authorization"] for each in server.asked]
    assert sent == ["Bearer two"] * 4 + ["Bearer three"]


def test_a_token_is_not_read_for_each_request(account: Path) -> None:
    """Within a minute it is taken from memory."""
    configuration, _ = connecting.from_pod(account)
    assert authorization(configuration) == "Bearer one"
    (account / "token").write_text("two")
    assert authorization(configuration) == "Bearer one"


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_a_pod_without_an_account_is_told(account: Path, missing: str) -> None:
    """Without token or certificate nothing is asked for."""
    (account / missing).unlink()
    with pytest.raises(ApiUnavailable, match="service account"):
        connecting.from_pod(account)


def kubeconfig(**context: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
            "users": [{"name": "me", "user": {"token": "canary"}}],
            "contexts": [
                {"name": "first", "context": {"cluster": "one", "user": "me", **context}},
                {"name": "second", "context": {"cluster": "one", "user": "me", "namespace": "other"}},
            ],
            "current-context": "first",
        }
    )


def test_a_kubeconfig_says_where_and_who(tmp_path: Path) -> None:
    """Of its current context, or of the one that is named; a context may name no namespace."""
    path = tmp_path / "config"
    path.write_text(kubeconfig(namespace="mine"))
    configuration, namespace = connecting.from_kubeconfig(path)
    assert (configuration.host, namespace) == ("https://127.0.0.1:1", "mine")
    assert authorization(configuration) == "Bearer canary"
    assert connecting.from_kubeconfig(path, "second")[1] == "other"
    path.write_text(kubeconfig())
    assert Api.connect(path).namespace == ""


@pytest.mark.parametrize(
    "text",
    ["", "canary", "- canary", "a: [canary", "{}", "clusters: canary\nusers: 3\ncontexts: [canary]", "\x00canary"],
)
def test_a_kubeconfig_that_cannot_be_used_is_told_without_its_content(tmp_path: Path, text: str) -> None:
    """Whatever is in it, one error says which file; it may hold a token."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ApiUnavailable, match="kubeconfig") as caught:
        Api.connect(path)
    assert "canary" not in str(caught.value)


def test_a_kubeconfig_or_context_that_is_not_there(tmp_path: Path) -> None:
    """Both are one error."""
    with pytest.raises(ApiUnavailable, match="cannot be used"):
        Api.connect(tmp_path / "none")
    (tmp_path / "config").write_text(kubeconfig())
    with pytest.raises(ApiUnavailable, match="third"):
        Api.connect(tmp_path / "config", "third")
