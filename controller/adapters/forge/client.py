"""The API of one forge: JSON in and out, errors in the port's tree, rates kept, lists read to a bound.

Invariant: after a forge asked to be left alone it is not asked before that time is over. A list is whole, or says that
it is not.
"""

import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

from controller.adapters.forge.exchange import SAFE, Answer, Exchange, Request
from controller.adapters.forge.limits import pause_asked, pause_due
from controller.adapters.forge.refusals import refusal_of, told, words_of
from controller.adapters.server_words import shown
from controller.ports.clock import Clock
from controller.ports.forge import ForgeBusy, ForgeDenied, ForgeMalformed

Authorise: TypeAlias = Callable[[], tuple[Mapping[str, str], tuple[str, ...]]]
"""The headers that authorise a request, and what of them must not be shown. May raise ForgeDenied or ForgeUnavailable."""

PAGE_SIZE = 50
"""Gitea gives no more at once unless told to."""
_NOT_ACCEPTED = 401
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was taken."""

    status: int
    data: Any
    """Parsed JSON; None where the body was none."""
    said: str = ""
    """The words of a refusal: one line, without secrets."""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list that was read page by page."""

    items: list[dict[str, Any]]
    complete: bool

    def whole(self, what: str) -> list[dict[str, Any]]:
        """The items.

        Raises:
            ForgeMalformed: there are more; deciding on a part of them would be wrong.
        """
        if not self.complete:
            raise ForgeMalformed(f"more {what} than are read: {len(self.items)} and more")
        return self.items


class ForgeClient:
    """Calls one forge's API, one request at a time."""

    def __init__(
        self,
        root: str,
        authorise: Authorise,
        clock: Clock,
        *,
        renew: Callable[[], bool] = lambda: False,
        accept: str = "application/json",
        seconds: float = 15.0,
        ca_file: Path | None = None,
    ) -> None:
        """``root`` is the API's; ``seconds`` the total for one request; ``renew`` drops a token that was refused."""
        self._renew = renew
        self._root = root.rstrip("/")
        self._authorise = authorise
        self._clock = clock
        self._accept = accept
        self._exchange = Exchange(seconds, ca_file)
        self._lock = threading.Lock()
        self._busy_until = 0.0

    def close(self) -> None:
        """Close its connections."""
        self._exchange.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, allow: Collection[int] = ()) -> Reply:
        """Ask for something."""
        return self.call("GET", path, params=params, allow=allow)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        allow: Collection[int] = (),
    ) -> Reply:
        """Send one request; a refusal whose status is in ``allow`` is returned, any other raised.

        Raises:
            ForgeError: no success.
        """
        url = self._root + path + (f"?{urlencode(params)}" if params else "")
        reply = self._sent(method, url, body)
        if reply.status == _NOT_ACCEPTED and reply.status not in allow and self._renew():
            reply = self._sent(method, url, body)
        if reply.status < 300 or reply.status in allow:  # noqa: PLR2004  the class of HTTP success
            return reply
        raise refusal_of(reply.status, reply.said, unclear=method not in SAFE)

    def _sent(self, method: str, url: str, body: Any) -> Reply:
        with self._lock:
            self._keep_pause()
        authorised, secrets = self._authorise()
        request = Request(method, url, self._headers(authorised, body), _encoded(body))
        with self._lock:
            self._keep_pause()
            answer = self._exchange.send(request)
            reply = self._taken(answer, secrets)
        return _readable(reply, answer)

    def pages(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        *,
        most: int = 20,
        key: str = "",
        size: str = "per_page",
    ) -> Listing:
        """A list, of at most ``most`` pages; ``key`` names it where it lies in an object."""
        items: list[dict[str, Any]] = []
        for number in range(1, most + 1):
            asked = {**(params or {}), size: PAGE_SIZE, "page": number}
            reply = self.get(path, asked)
            page = list(_objects(reply.data, key))
            items += page
            if not page or not _goes_on(reply, len(page), len(items)):
                return Listing(items, complete=True)
        return Listing(items, complete=False)

    def pause(self, seconds: float) -> None:
        """Leave the forge alone for so long: what only the body of an answer says."""
        with self._lock:
            self._busy_until = max(self._busy_until, self._clock.monotonic() + seconds)

    def _headers(self, authorised: Mapping[str, str], body: Any) -> dict[str, str]:
        own = {"Accept": self._accept, "Accept-Encoding": "identity", "User-Agent": "rollguard"}
        return {**own, **authorised, **({"Content-Type": "application/json"} if body is not None else {})}

    def _keep_pause(self) -> None:
        left = self._busy_until - self._clock.monotonic()
        if left > 0:
            raise ForgeBusy(f"the forge wants to be left alone for {left:.0f} s more", left)

    def _taken(self, answer: Answer, secrets: tuple[str, ...]) -> Reply:
        """Read the answer, and remember the pause that it asks for."""
        data = answer.parsed()
        said = shown(words_of(data), secrets) if answer.status >= 300 else ""  # noqa: PLR2004
        asked = pause_asked(answer.status, answer.headers, said, self._clock.now())
        due = asked if asked is not None else pause_due(answer.headers, self._clock.now())
        if due is not None:
            self._busy_until = self._clock.monotonic() + due
        if asked is not None:
            raise ForgeBusy(f"the forge limits its rate: asked again in {asked:.0f} s{told(said)}", asked)
        return Reply(answer.status, data, said, answer.headers)


def _readable(reply: Reply, answer: Answer) -> Reply:
    if reply.data is None and answer.body.strip() and reply.status < 300:  # noqa: PLR2004
        kind = answer.headers.get("content-type", "").partition(";")[0][:40]
        raise ForgeMalformed(f"the forge's answer is no JSON ({kind or 'of no type'}): is forge.url right?")
    return reply


def token_word(secret: bytes) -> str:
    """A token out of a file, as it can stand in a header.

    Raises:
        ForgeDenied: it is no single word.
    """
    word = secret.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(word):
        raise ForgeDenied("the forge's token must be one word of ASCII")
    return word


def _encoded(body: Any) -> bytes | None:
    return None if body is None else json.dumps(body).encode()


def _objects(data: Any, key: str) -> Iterator[dict[str, Any]]:
    found = data.get(key) if key and isinstance(data, dict) else data
    if found is None and key and isinstance(data, dict):
        return
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise ForgeMalformed("the forge's answer is no list of objects")
    yield from found


def _goes_on(reply: Reply, page: int, gathered: int) -> bool:
    """Whether there is another page, by what the forge says: its links, its count, or a page that is full."""
    headers = reply.headers or {}
    total = headers.get("x-total-count") or headers.get("x-total") or ""
    if "link" in headers:
        return 'rel="next"' in headers["link"]
    if total.isdecimal():
        return gathered < int(total)
    return page >= PAGE_SIZE
