"""Tells a running controller what was deployed: the sending side of ``POST /hooks/deployed``.

Invariant: the secret signs and is never sent; redirects are not followed, so a report goes only where it was meant to.

    ReportError
    ├── ReportNotSent    no answer, 408, 429 or 5xx: sending it again may help
    └── ReportRefused    the controller refuses it: the text says why
"""

import json
import time
from dataclasses import dataclass

import requests

from controller.core.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

LARGEST_REPLY = 16 * 1024


class ReportError(Exception):
    """A report was not received; the text names no secret."""


class ReportNotSent(ReportError):  # noqa: N818  names of the tree above
    """Sending it again may help."""


class ReportRefused(ReportError):  # noqa: N818
    """Sending it again will not help."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The fields of a report."""

    application: str
    """``namespace/name``."""
    revision: str
    phase: str | None = None
    """Started, Healthy or Failed; None: the only report of this revision, which is its start and Healthy in one."""
    at: float | None = None
    """Unix seconds; None: now."""


def post_report(url: str, secret: bytes, deployment: Deployment, *, timeout: float = 10.0) -> int:
    """Send one report; returns its receipt once the controller has stored it.

    Args:
        url: The controller's root (``http://127.0.0.1:8080``) or the hook itself.
        secret: The HMAC key that both sides have.
        deployment: What to report.
        timeout: Seconds to wait for each part of the answer.

    Raises:
        ReportError: it was not received.
    """
    fields = {
        "application": deployment.application,
        "revision": deployment.revision,
        "phase": deployment.phase,
        "at": deployment.at,
    }
    body = json.dumps({name: value for name, value in fields.items() if value is not None}).encode()
    timestamp = f"{time.time():.6f}"
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: sign(secret, timestamp, body),
    }
    status, answer = _post(_hook_url(url), body, headers, timeout)
    receipt = answer.get("receipt")
    if status == requests.codes.accepted and isinstance(receipt, int):
        return receipt
    raise _refusal(status, answer)


def _hook_url(url: str) -> str:
    root = url.rstrip("/")
    return root if root.endswith("/hooks/deployed") else f"{root}/hooks/deployed"


def _post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> tuple[int, dict[str, object]]:
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
            ) as reply:
                return reply.status_code, _answer(next(reply.iter_content(LARGEST_REPLY), b""))
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema):
        raise ReportRefused("the controller's URL must be http://… or https://…") from None
    except requests.Timeout:
        raise ReportNotSent(f"the controller gave no answer within {timeout:g} s") from None
    except requests.exceptions.SSLError:
        raise ReportRefused("the controller's certificate is not trusted") from None
    except (requests.RequestException, OSError) as error:
        raise ReportNotSent(
            f"the controller cannot be reached ({type(error).__name__}): is the URL right, and does it run?"
        ) from None


def _answer(content: bytes) -> dict[str, object]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _refusal(status: int, answer: dict[str, object]) -> ReportError:
    said = "".join(c for c in str(answer.get("error", "")) if c.isprintable())[:300]
    sentence = f"the controller answered {status}" + (f": {said}" if said else "")
    if 300 <= status < 400:  # noqa: PLR2004  the class of redirects
        return ReportRefused(f"{sentence}; redirects are not followed, give the final URL")
    again = status in {408, 429} or status >= 500  # noqa: PLR2004
    return ReportNotSent(sentence) if again else ReportRefused(sentence)
