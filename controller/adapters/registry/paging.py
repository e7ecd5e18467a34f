"""A repository's list of tags, over all its pages.

Invariant: all tags or none. A list that goes in circles, or has too many pages, tags or bytes, is an error and is never cut
short: a part of it would let an old version look like the newest. The next page is on the host of the page before it.
"""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

from controller.adapters.registry.access import origin_of
from controller.adapters.registry.answers import json_object
from controller.adapters.registry.conversation import Conversation
from controller.adapters.registry.session import Answer
from controller.core.promotion.image import MOST_TAGS, TagList, is_tag
from controller.ports.registry import RegistryMalformed

PAGE = 1000
"""Tags that are asked for at a time; a registry may give fewer, or all."""
MOST_PAGES = 2000
LARGEST_LIST = 32 * 1024 * 1024
"""Bytes of all pages together."""
_NEXT = re.compile(r'<([^<>]{1,4096})>\s*;\s*(?:[^,<>]*;\s*)?rel="?next"?', re.IGNORECASE)
_LONGEST_LINK = 8192
_LONGEST_VALIDATOR = 512
_NOT_MODIFIED = 304


def read_tags(conversation: Conversation, known: TagList | None) -> TagList:
    """All tags; ``known`` itself where the registry says that nothing changed.

    Raises:
        RegistryError: not all of them could be read.
    """
    url, validator = conversation.url(f"tags/list?n={PAGE}"), known.validator if known is not None else ""
    answer = conversation.get(url, "application/json", LARGEST_LIST, validator)
    if answer.status == _NOT_MODIFIED:
        if known is None or not validator:
            raise RegistryMalformed(f"{conversation.repository}: the list is unchanged, though nobody asked that")
        return known
    tags, following = _page(answer, conversation)
    if not following:
        return TagList(tuple(tags), _validator(answer))
    return TagList(tuple(_all(tags, following, len(answer.body), conversation)))


def _all(tags: dict[str, None], following: str, size: int, conversation: Conversation) -> dict[str, None]:
    """The tags of the first page and of all that follow it."""
    where = str(conversation.repository)
    seen: set[str] = set()
    while following:
        if following in seen:
            raise RegistryMalformed(f"{where}: the pages of its tags go in circles")
        seen.add(following)
        if len(seen) >= MOST_PAGES:
            raise RegistryMalformed(f"{where}: more than {MOST_PAGES} pages of tags: delete old tags")
        answer = conversation.get(following, "application/json", max(LARGEST_LIST - size, 0))
        size += len(answer.body)
        more, following = _page(answer, conversation)
        tags |= more
        _check_number(tags, where)
    return tags


def _check_number(tags: dict[str, None], where: str) -> None:
    if len(tags) > MOST_TAGS:
        raise RegistryMalformed(f"{where}: more than {MOST_TAGS} tags: delete old tags, or follow a Git tag instead")


def _page(answer: Answer, conversation: Conversation) -> tuple[dict[str, None], str]:
    """The tags of one page, in order, and the address of the next one (empty: this is the last)."""
    where = str(conversation.repository)
    listed: Any = json_object(answer, where).get("tags", "")
    if listed is None:  # as registries tell of a repository whose tags were all deleted
        listed = []
    if not isinstance(listed, list):
        raise RegistryMalformed(f"{where}: the answer has no list of tags: is there a registry at this address?")
    tags = dict.fromkeys(each for each in listed if isinstance(each, str) and is_tag(each))
    _check_number(tags, where)
    return tags, _next(answer, where)


def _next(answer: Answer, where: str) -> str:
    header = answer.headers.get("Link", "")
    found = _NEXT.search(header[:_LONGEST_LINK])
    if found is None:
        return ""
    try:
        target = urlsplit(urljoin(answer.url, found[1]))
        here = urlsplit(answer.url)
        usable = target.hostname == here.hostname and target.username is None
    except ValueError:
        usable = False
    # A registry behind a proxy may name another scheme or port of its host: only path and query are taken.
    address = here._replace(path=target.path, query=target.query, fragment="").geturl() if usable else ""
    if not origin_of(address) or not address.isascii() or not address.isprintable() or " " in address:
        raise RegistryMalformed(f"{where}: the next page of its tags is at another host, or nowhere")
    return address


def _validator(answer: Answer) -> str:
    said = answer.headers.get("ETag", "").strip()
    usable = said.isascii() and said.isprintable() and len(said) <= _LONGEST_VALIDATOR
    return said if usable else ""
