"""What goes wrong in speaking to the API server.

Each adapter maps these to its own port's errors. The text of an error is one line of at most 300 characters: what a server
says is untrusted, may be long, and may quote what was sent to it.

    KubernetesError
    ├── ApiUnavailable   no answer in time, connection refused, 5xx, 429: asking later may help
    ├── ApiDenied        401 or 403: our credentials or rights do not allow it
    ├── ApiNotFound      404: no such object, or no such kind (its CRD is not installed)
    ├── ApiConflict      409: somebody else wrote meanwhile, or it is there already
    ├── ApiGone          410: the resourceVersion or the list's continuation is too old
    ├── ApiInvalid       400 or 422: what was sent is not accepted
    └── ApiMalformed     the answer is none of the API server's
"""

import re

_LONGEST = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class KubernetesError(Exception):
    """What went wrong; its text names no secret and is at most 300 characters."""

    def __init__(self, message: str) -> None:
        super().__init__(_CONTROL.sub(" ", message)[:_LONGEST])


class ApiUnavailable(KubernetesError):  # noqa: N818  outcomes, named as the tree has them
    """Asking later may help."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds that the server asks to be left alone, where it says so."""


class ApiDenied(KubernetesError):  # noqa: N818
    """Our credentials or rights do not allow it."""


class ApiNotFound(KubernetesError):  # noqa: N818
    """There is no such object, or no such kind."""


class ApiConflict(KubernetesError):  # noqa: N818
    """Somebody else wrote meanwhile, or it is there already."""


class ApiGone(KubernetesError):  # noqa: N818
    """What was asked for is too old."""


class ApiInvalid(KubernetesError):  # noqa: N818
    """What was sent is not accepted."""


class ApiMalformed(KubernetesError):  # noqa: N818
    """The answer cannot be read."""


_BY_STATUS: dict[int, type[KubernetesError]] = {
    400: ApiInvalid,
    401: ApiDenied,
    403: ApiDenied,
    404: ApiNotFound,
    405: ApiInvalid,
    409: ApiConflict,
    410: ApiGone,
    413: ApiInvalid,
    415: ApiInvalid,
    422: ApiInvalid,
}


def error_of(status: int, message: str, retry_after: float | None = None) -> KubernetesError:
    """The error of an answer's status, with the server's own words."""
    kind = _BY_STATUS.get(status)
    said = message or "no reason was given"
    if kind is not None:
        return kind(f"{status}: {said}")
    return ApiUnavailable(f"{status}: {said}", retry_after)
