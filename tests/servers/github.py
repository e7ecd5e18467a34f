"""A stand-in for the one endpoint of GitHub's API that mints an installation's tokens, in the shapes that its reference has.

It checks the JSON Web Token by the App's public key, as GitHub does.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.servers.receiver import Behaviour, Receiver, answer

APP = "123456"
INSTALLATION = "42"
DOCUMENTATION = "https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app"


def make_app_key() -> tuple[str, str]:
    """A private key and its public key, PEM."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


def refusal(status: int, message: str, **headers: str) -> Behaviour:
    """An error as GitHub writes it."""
    said = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
    return answer(status, json.dumps(said).encode(), **headers)


@dataclass
class GithubApi:
    """Mints tokens; ``fault`` is what it answers instead."""

    public_key: str
    now: Callable[[], float]
    tokens: list[str] = field(default_factory=list)
    """What it hands out, one after the other; the last one again and again."""
    expires_at: str = "2027-01-15T09:00:00Z"
    fault: Behaviour | None = None
    claims: list[dict[str, Any]] = field(default_factory=list)
    minted: int = 0

    def __call__(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        """Answer one request."""
        if self.fault is not None:
            self.fault(handler, receiver)
            return
        sent = receiver.requests[-1]
        kind, _, token = sent.headers.get("authorization", "").partition(" ")
        try:
            claims = jwt.decode(
                token, self.public_key, algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
            )
        except jwt.PyJWTError:
            claims = {}
        if kind != "Bearer" or claims.get("iss") != APP or not self._is_fresh(claims):
            refusal(401, "A JSON web token could not be decoded")(handler, receiver)
            return
        self.claims.append(claims)
        if sent.path != f"/app/installations/{INSTALLATION}/access_tokens" or sent.method != "POST":
            refusal(404, "Not Found")(handler, receiver)
            return
        self._mint(json.loads(sent.body), handler, receiver)

    def _is_fresh(self, claims: dict[str, Any]) -> bool:
        return claims["iat"] <= self.now() and self.now() < claims["exp"] <= self.now() + 600

    def _mint(self, wanted: dict[str, Any], handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        token = self.tokens[min(self.minted, len(self.tokens) - 1)]
        self.minted += 1
        said = {
            "token": token,
            "expires_at": self.expires_at,
            "permissions": wanted.get("permissions", {}) | {"metadata": "read"},
            "repository_selection": "selected",
            "repositories": [{"id": 1296269, "name": name} for name in wanted.get("repositories", [])],
        }
        answer(201, json.dumps(said).encode())(handler, receiver)
