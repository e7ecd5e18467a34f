"""Names of our own objects, made of texts that may be no names.

Invariant: the same text gives the same name, and two texts never the same one.
"""

import hashlib
import re

_LONGEST_NAME = 253
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def object_name_of(text: str) -> str:
    """A text as the name of an object; what is too long or no name is made one and told apart by a hash."""
    if len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) and ".." not in text:
        return text
    readable = re.sub(r"[^a-z0-9.]+", "-", text.lower()).replace("..", ".")[: _LONGEST_NAME - 17].strip("-.")
    return f"{readable or 'unnamed'}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def analysis_object_name(application: str, analysis_id: str) -> str:
    """The name of the SyncAnalysis of an application's analysis."""
    return object_name_of(f"{application}-{analysis_id}")
