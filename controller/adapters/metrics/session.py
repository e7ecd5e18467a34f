"""The guarded HTTP session under prometheus-api-client: what comes out of it is a Prometheus answer, or a ``MetricsError``.

Invariant: one total deadline, one size cap, no redirect, no proxy or netrc of the environment, no cookie; the query goes
in the body of a POST and is in no URL. No error names a secret: neither the token, nor a header's value, nor the
URL's credentials, even where the server repeats them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.auth import HTTPBasicAuth

from controller.adapters.deadline import DeadlineAdapter, set_deadline, time_left
from controller.adapters.http_answers import (
    AnswerRefused,
    AnswerTooLarge,
    Trouble,
    asked_again_if_stale,
    cause_of,
    read_body,
    trouble_of,
    verified_by,
)
from controller.adapters.metrics.envelope import printable, read_envelope
from controller.adapters.secret_file import SecretUnreadable, read_secret
from controller.core.observation import MissingReason
from controller.ports.metrics import MetricsError, MetricsMalformed, MetricsRefused, MetricsUnavailable

_OK = 200


@dataclass(frozen=True, slots=True, repr=False)
class Access:
    """How a metrics server is reached. It has no useful repr: it holds secrets."""

    url: str
    """Without credentials and without a slash at its end."""
    user: tuple[str, str] | None = None
    bearer_token_file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: Path | None = None
    max_bytes: int = 64 * 1024 * 1024

    @classmethod
    def to(cls, url: str, **options: Any) -> "Access":
        """Read a URL, taking its credentials out of it.

        Raises:
            ValueError: it is no http or https URL, or there are two ways to authorise; the text does not repeat it.
        """
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.query or parts.fragment:
            raise ValueError("a metrics source's url is http://… or https://…, without query or fragment")
        user = None
        if parts.username is not None:
            user = (unquote(parts.username), unquote(parts.password or ""))
            if options.get("bearer_token_file") is not None:
                raise ValueError("a metrics source has either credentials in its url or a bearerTokenFile, not both")
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return cls(bare.geturl().rstrip("/"), user, **options)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may contain, as far as it is known without reading a file."""
        if self.user is None:
            return tuple(self.headers.values())
        basic = base64.b64encode(":".join(self.user).encode()).decode()
        return (*self.headers.values(), self.user[1], basic)


class CheckedResponse(requests.Response):
    """A successful answer whose envelope was checked; ``json`` does not parse again."""

    def __init__(self, envelope: dict[str, Any]) -> None:
        super().__init__()
        self.status_code = _OK
        self._envelope = envelope

    def json(self, **_: Any) -> Any:
        """The checked envelope."""
        return self._envelope


class GuardedSession(requests.Session):
    """A session for one thread and one server."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access
        self._adapter = DeadlineAdapter()
        self._secrets: tuple[str, ...] = ()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.seconds = 10.0
        """Total deadline of the next request."""
        self.result_type = ""
        """Of the last answer, as its envelope said."""
        self.warnings: tuple[str, ...] = ()
        """Of the last answer."""

    def get_adapter(self, url: str | bytes) -> BaseAdapter:  # noqa: ARG002  one server only
        """The one guarded way out, whatever was mounted."""
        return self._adapter

    def request(  # type: ignore[override]
        self,
        method: str | bytes,  # noqa: ARG002  always POST
        url: str | bytes,
        params: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> requests.Response:
        """Send one query and check the answer; the other arguments that requests knows are set here, not by the caller.

        Raises:
            MetricsError: no answer, or none that can be read.
        """
        set_deadline(self.seconds)
        headers = self._headers()
        try:
            status, content_type, body = asked_again_if_stale(
                lambda: self._send(str(url), dict(params or {}), headers)
            )
        except (OSError, UnicodeError, urllib3.exceptions.HTTPError) as error:
            raise self._failure(error) from None
        envelope, self.result_type, self.warnings = read_envelope(status, content_type, body, self._clean)
        return CheckedResponse(envelope)

    def _clean(self, text: str) -> str:
        return printable(text, self._secrets)

    def _headers(self) -> dict[str, str]:
        own = {"User-Agent": "rollguard", "Accept": "application/json", "Accept-Encoding": "identity"}
        headers = {**own, **self._access.headers}
        self._secrets = self._access.secrets
        if self._access.bearer_token_file is not None:
            token = self._token(self._access.bearer_token_file)
            self._secrets = (*self._secrets, token)
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _token(self, path: Path) -> str:
        try:
            token = read_secret(path).decode("ascii").strip()
        except SecretUnreadable as error:
            raise MetricsRefused(MissingReason.NOT_AUTHORISED, str(error)) from None
        except UnicodeDecodeError:
            token = ""
        if not token.isprintable() or not token or " " in token:
            raise MetricsRefused(MissingReason.NOT_AUTHORISED, f"{path} holds no bearer token: it must be one word")
        return token

    def _send(self, url: str, data: dict[str, Any], headers: dict[str, str]) -> tuple[int, str, bytes]:
        # Straight to the adapter: what a requests session adds (cookies, redirects, settings of the environment) is
        # unwanted here, and was a third of what a query costs.
        user = self._access.user
        request = requests.Request(
            "POST",
            url,
            headers={"Content-Type": "application/x-www-form-urlencoded", **headers},
            data=urlencode(data),
            auth=HTTPBasicAuth(user[0].encode(), user[1].encode()) if user else None,
        ).prepare()
        verify = verified_by(self._access.ca_file)
        with self._adapter.send(request, stream=True, timeout=max(time_left(), 0.001), verify=verify) as response:
            return response.status_code, response.headers.get("Content-Type", ""), self._body(response)

    def _body(self, response: requests.Response) -> bytes:
        try:
            return read_body(response, self._access.max_bytes)
        except AnswerRefused as error:
            too_large = isinstance(error, AnswerTooLarge)
            reason = MissingReason.TOO_LARGE if too_large else MissingReason.MALFORMED
            raise MetricsMalformed(reason, f"the answer is {error}") from None

    def _failure(self, error: Exception) -> MetricsError:
        ca_file = self._access.ca_file
        match trouble_of(error, ca_file):
            case Trouble.TIMED_OUT:
                return MetricsUnavailable(MissingReason.TIMED_OUT, f"no whole answer within {self.seconds:.3g} s")
            case Trouble.HEADER:
                return MetricsRefused(MissingReason.NOT_AUTHORISED, "a header of the metrics source cannot be sent")
            case Trouble.TLS:
                return MetricsUnavailable(MissingReason.UNREACHABLE, "the TLS handshake failed: is caFile right?")
            case Trouble.CA_FILE:
                return MetricsRefused(MissingReason.UNREACHABLE, f"caFile {ca_file} cannot be read")
            case Trouble.CONNECTION:
                return MetricsUnavailable(MissingReason.UNREACHABLE, f"no connection: {cause_of(error)}")
            case Trouble.HTTP:
                said = f"no HTTP answer that can be read: {type(error).__name__}"
                return MetricsMalformed(MissingReason.MALFORMED, said)
