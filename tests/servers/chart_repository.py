"""A repository of Helm charts on loopback: an index, and an archive for each version."""

import io
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from tests.servers.receiver import Receiver, answer


class ChartRepository:
    """Charts are published while it runs; the index always tells of all of them."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._entries: dict[str, list[str]] = {}
        self._receiver = Receiver(self._answer)

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._receiver.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Without a closing slash."""
        return self._receiver.url.rstrip("/")

    def publish(self, name: str, version: str, files: Mapping[str, str]) -> None:
        """Make an archive of a chart and put it into the index."""
        head = f"apiVersion: v2\nname: {name}\nversion: {version}\n"
        body = _archive({f"{name}/Chart.yaml": head, **{f"{name}/{path}": text for path, text in files.items()}})
        archive = f"{name}-{version}.tgz"
        entry = (
            f"  - {{apiVersion: v2, name: {name}, version: {version}, urls: [{archive}], digest: {_digest(body)}}}"
        )
        self._files[f"/{archive}"] = body
        self._entries.setdefault(name, []).append(entry)
        listed = (f"  {each}:\n" + "\n".join(entries) for each, entries in self._entries.items())
        self._files["/index.yaml"] = ("apiVersion: v1\nentries:\n" + "\n".join(listed) + "\n").encode()

    def _answer(self, handler: BaseHTTPRequestHandler, receiver: Receiver) -> None:
        body = self._files.get(handler.path)
        answer(404 if body is None else 200, body or b"")(handler, receiver)


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def _archive(files: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, text in files.items():
            about = tarfile.TarInfo(path)
            about.size = len(text.encode())
            archive.addfile(about, io.BytesIO(text.encode()))
    return made.getvalue()
