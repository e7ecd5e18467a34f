"""Makes the files in which locked items are again what they were, and proves it.

Invariant: a file that comes out differs from the head's in the wanted items alone, and each of them has its wanted value;
where no such file can be made it is refused, and people put it back.
"""

from collections.abc import Iterator

from controller.core.declared import DeclarationError
from controller.core.git import BuiltCommit, CommitIdentity
from controller.core.promotion.fields import FieldPath, Scalar, ScalarKind, parse_path
from controller.core.promotion.locks import LockedItem
from controller.core.promotion.protecting import PutBackCommit
from controller.core.promotion.protection import PutBack
from controller.core.promotion.updates import FieldEdit
from controller.ports.manifests import ManifestError, Manifests
from controller.ports.repository import Repository


class CannotPutBack(Exception):  # noqa: N818  reads as what happened
    """It takes a person; the text says why."""


def restored(repository: Repository, manifests: Manifests, wanted: PutBackCommit) -> dict[str, bytes]:
    """The files to write on top of the head.

    Raises:
        CannotPutBack: an item cannot be put back without changing more.
        ManifestError: a file cannot be read.
        RepositoryError: the repository does not answer.
    """
    by_file: dict[str, list[PutBack]] = {}
    for each in wanted.items:
        by_file.setdefault(each.item.file, []).append(each)
    return {file: _file(repository, manifests, wanted, file, items) for file, items in by_file.items()}


def commit_of(
    repository: Repository, manifests: Manifests, identity: CommitIdentity, wanted: PutBackCommit
) -> BuiltCommit:
    """The commit that puts it back, on top of the head that was looked at; raises as ``restored``."""
    tree = repository.write(wanted.head, restored(repository, manifests, wanted), create=True)
    return repository.build(
        parent=wanted.head, tree=tree.tree, message=wanted.message, identity=identity, at=wanted.at
    )


def _file(
    repository: Repository, manifests: Manifests, wanted: PutBackCommit, file: str, items: list[PutBack]
) -> bytes:
    whole = next((each for each in items if not each.item.path), None)
    if whole is not None:
        body = repository.files(whole.at, (file,)).get(file) if whole.at is not None else None
        if body is None:
            raise CannotPutBack(f"{file} was added, and would have to be removed")
        return body
    head = repository.files(wanted.head, (file,)).get(file)
    for body in _candidates(repository, manifests, file, head, items):
        if _proved(manifests, file, head or b"", body, items):
            return body
    names = ", ".join(str(each.item) for each in items[:3])
    raise CannotPutBack(f"{names} cannot be put back without changing more of the file")


def _candidates(
    repository: Repository, manifests: Manifests, file: str, head: bytes | None, items: list[PutBack]
) -> Iterator[bytes]:
    """The file as it was, and the head's file with single fields written."""
    for at in dict.fromkeys(each.at for each in items):
        body = repository.files(at, (file,)).get(file) if at is not None else None
        if body is not None:
            yield body
    if head is None:
        return
    try:
        yield manifests.write(file, head, [_edit(each) for each in items])
    except (ManifestError, DeclarationError, CannotPutBack):
        return


def _edit(wanted: PutBack) -> FieldEdit:
    value, item = wanted.value, wanted.item
    if value is None or value.kind not in (ScalarKind.TEXT, ScalarKind.NUMBER):
        raise CannotPutBack(f"{item} holds no text or number")
    number = value.kind is ScalarKind.NUMBER and value.text.isascii() and value.text.isdigit()
    if value.kind is ScalarKind.NUMBER and not number:
        raise CannotPutBack(f"{item} holds a number that cannot be written as it was")
    return FieldEdit(_path(item), int(value.text) if number else value.text)


def _path(item: LockedItem) -> FieldPath:
    return parse_path(f"{item.document}:{item.path}" if item.document else item.path)


def _proved(manifests: Manifests, file: str, head: bytes, body: bytes, items: list[PutBack]) -> bool:
    wanted: dict[LockedItem, Scalar | None] = {each.item: each.value for each in items}
    try:
        changes = manifests.changes(file, head, body)
    except ManifestError:
        return False
    made = {LockedItem(file, each.document, each.path): each.new for each in changes}
    return made == wanted
