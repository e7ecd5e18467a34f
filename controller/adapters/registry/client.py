"""A registry by the OCI distribution API: tags, digests, and what an image says of itself.

Invariant: names are checked before anything is sent; one repository is never asked twice at the same moment; and a registry
that wants to be left alone is asked nothing until it may be asked again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.registry.access import RegistryAccess
from controller.adapters.registry.conversation import Conversation
from controller.adapters.registry.login import Login
from controller.adapters.registry.manifests import (
    ACCEPTED,
    LARGEST_CONFIG,
    LARGEST_MANIFEST,
    Descriptor,
    Document,
    chosen,
    config_of,
    facts_of,
    read_config,
    read_document,
    refuse_schema_1,
)
from controller.adapters.registry.paging import read_tags
from controller.adapters.registry.session import Answer, Session
from controller.core.promotion.image import (
    ImageFacts,
    ImageRepository,
    TagList,
    is_digest,
    is_path,
    is_tag,
)
from controller.ports.clock import Clock
from controller.ports.registry import ImageUnknown, RegistryBusy, RegistryMalformed

TIMEOUT = 30.0
"""Seconds for one operation with all its requests."""
MOST_NESTED = 3
"""Indexes in indexes that are followed."""
_NO_HEAD = {400, 405, 501}


class OciRegistry:
    """Passes as ``controller.ports.registry.Registry``, for one registry."""

    def __init__(self, access: RegistryAccess, clock: Clock, *, timeout: float = TIMEOUT) -> None:
        self._access = access
        self._clock = clock
        self._timeout = timeout
        self._session = Session(access)
        self._login = Login(access, clock)
        self._asked = _OneAtATime()
        self._quiet_until = 0.0

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def tags(self, repository: ImageRepository, known: TagList | None = None) -> TagList:
        """As the port says."""
        with self._asking(repository) as conversation:
            return read_tags(conversation, known)

    def digest(self, repository: ImageRepository, tag: str) -> str:
        """As the port says."""
        if not is_tag(tag):
            raise ImageUnknown(f"{repository}: {tag[:60]!r} can be no tag")
        with self._asking(repository) as conversation:
            answer = conversation.head(conversation.url(f"manifests/{tag}"), ACCEPTED)
            if answer.status not in _NO_HEAD:
                refuse_schema_1(_kind(conversation.checked(answer)), str(repository))
                if told := _told(answer, str(repository)):
                    return told
            return _manifest(conversation, tag).digest

    def image(self, repository: ImageRepository, reference: str) -> ImageFacts:
        """As the port says."""
        if not is_tag(reference) and not is_digest(reference):
            raise ImageUnknown(f"{repository}: {reference[:60]!r} can be no tag and no digest")
        with self._asking(repository) as conversation:
            return _facts(conversation, reference)

    @contextmanager
    def _asking(self, repository: ImageRepository) -> Iterator[Conversation]:
        if repository.registry != self._access.host or not is_path(repository.path):
            raise ImageUnknown(f"{self._access.host} has no {repository}")
        with self._asked.turn(repository.path):
            quiet = self._quiet_until - self._clock.monotonic()
            if quiet > 0:
                raise RegistryBusy(f"{self._access.host} wants to be left alone for {quiet:.0f} s more", quiet)
            try:
                with self._session.operation(self._timeout) as operation:
                    yield Conversation(repository, self._access, self._login, operation, self._clock)
            except RegistryBusy as error:
                self._quiet_until = max(self._quiet_until, self._clock.monotonic() + error.retry_after)
                raise


class _OneAtATime:
    """Lets one caller in for each name; the others wait for their turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def turn(self, name: str) -> Iterator[None]:
        with self._lock:
            mine, waiting = self._turns.get(name, (threading.Lock(), 0))
            self._turns[name] = mine, waiting + 1
        try:
            with mine:
                yield
        finally:
            with self._lock:
                waiting = self._turns[name][1] - 1
                if waiting:
                    self._turns[name] = mine, waiting
                else:
                    del self._turns[name]


def _facts(conversation: Conversation, reference: str) -> ImageFacts:
    what = str(conversation.repository)
    root = manifest = _manifest(conversation, reference)
    for _ in range(MOST_NESTED):
        if not manifest.is_index:
            break
        manifest = _manifest(conversation, chosen(manifest, what).digest)
    else:
        raise RegistryMalformed(f"{what}: an index in an index, more than {MOST_NESTED} deep")
    config = config_of(manifest, what)
    created, labels = _config(conversation, config) if config is not None else (None, {})
    return facts_of(root, manifest, created, labels)


def _manifest(conversation: Conversation, reference: str) -> Document:
    what = str(conversation.repository)
    answer = conversation.get(conversation.url(f"manifests/{reference}"), ACCEPTED, LARGEST_MANIFEST)
    digest = reference if is_digest(reference) else _told(answer, what)
    return read_document(answer.body, digest, _kind(answer), what)


def _config(conversation: Conversation, config: Descriptor) -> tuple[str | None, dict[str, str]]:
    what = str(conversation.repository)
    if config.size > LARGEST_CONFIG:
        raise RegistryMalformed(f"{what}: the image's configuration is larger than {LARGEST_CONFIG} bytes")
    answer = conversation.get(conversation.url(f"blobs/{config.digest}"), "*/*", LARGEST_CONFIG)
    return read_config(answer.body, config.digest, what)


def _told(answer: Answer, what: str) -> str:
    """The digest that the registry names for what it answers; empty where it names none."""
    told = answer.headers.get("Docker-Content-Digest", "").strip()
    if told and not is_digest(told):
        raise RegistryMalformed(f"{what}: the registry names a digest that is none")
    return told


def _kind(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").strip().lower()
