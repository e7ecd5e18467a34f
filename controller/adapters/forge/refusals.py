"""What a forge's refusal means where nothing more is known of it, and the words in it wherever the forges put them.

Invariant: each status is one error of the port's tree; words are passed on only as they were made safe to show.
"""

from typing import Any

from controller.ports.forge import ForgeDenied, ForgeError, ForgeRefused, ForgeUnavailable, ForgeUnknown, Refusal

_SERVER_ERROR = 500
_LOCKED = 423
_LATER = {408, 425}
_INVALID = {400, 422}
_PLACES = ("message", "error", "error_description", "errors", "base")
_HIDDEN = "the forge knows no such thing, or hides it from this token"
_NO_SUCCESS: dict[int, tuple[type[ForgeDenied | ForgeUnknown], str]] = {
    401: (ForgeDenied, "the forge does not accept the token: is it right, and not expired?"),
    403: (ForgeDenied, "the token may not do this"),
    404: (ForgeUnknown, _HIDDEN),
    410: (ForgeUnknown, _HIDDEN),
}


def refusal_of(status: int, said: str, *, unclear: bool = False) -> ForgeError:
    """What an answer other than success means; ``said`` is safe to show."""
    more = told(said)
    if status in _NO_SUCCESS:
        error, words = _NO_SUCCESS[status]
        return error(words + more)
    if status >= _SERVER_ERROR or status in _LATER:
        return ForgeUnavailable(f"the forge answered {status}{more}", unclear=unclear)
    if status == _LOCKED:
        return ForgeRefused(f"the repository is archived{more}", Refusal.ARCHIVED)
    if status < 400:  # noqa: PLR2004  redirects
        return ForgeRefused(
            "the forge redirects elsewhere, which is not followed: set its new address", Refusal.MOVED
        )
    reason = Refusal.INVALID if status in _INVALID else Refusal.OTHER
    return ForgeRefused(f"the forge refuses with {status}{more}", reason)


def told(said: str) -> str:
    """Words of the forge's behind a sentence."""
    return f" ({said})" if said else ""


def words_of(data: Any, depth: int = 4) -> str:
    """What a refusal says, wherever the forges put it; no deeper than they do."""
    if isinstance(data, str):
        return data
    if not depth or not isinstance(data, list | dict):
        return ""
    if isinstance(data, list):
        return "; ".join(filter(None, (words_of(each, depth - 1) for each in data[:5])))
    found = {name: words_of(data[name], depth - 1) for name in _PLACES if name in data}
    if "message" not in data and not any(found.values()):  # by field, as GitLab has it
        found = {name: words_of(value, depth - 1) for name, value in list(data.items())[:5]}
        return "; ".join(f"{name} {words}" for name, words in found.items() if words)
    return "; ".join(filter(None, found.values()))
