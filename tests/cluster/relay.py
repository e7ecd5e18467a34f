"""A relay in front of a server: it passes bytes on, cuts every connection, or lets them hang, as a network would.

with Relay(cluster.port) as relay:
kubeconfig = relay.kubeconfig(cluster.kubeconfig)
relay.cut()    # connections are reset, new ones refused
relay.mend()
"""

import json
import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16


class Relay:
    """Relays connections from a port of its own to ``port``, both on loopback; use it as a context manager."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._is_cut = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        self.cut()

    def kubeconfig(self, of: Path) -> Path:
        """A copy of a kubeconfig that goes through here."""
        document = json.loads(of.read_text())
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path = of.with_name(f"relayed-{self.port}-{of.name}")
        path.write_text(json.dumps(document))
        return path

    def cut(self) -> None:
        """Reset what is open and what comes, until it is mended."""
        with self._lock:
            self._is_cut = True
            for pair in self._pairs:
                for each in pair:
                    _end(each)
            self._pairs.clear()

    def mend(self) -> None:
        """Let new connections through again."""
        with self._lock:
            self._is_cut = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            if (far := self._joined(near)) is None:
                near.close()
            else:
                threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()

    def _joined(self, near: socket.socket) -> socket.socket | None:
        with self._lock:
            if self._is_cut:
                return None
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:  # the server is down
                return None
            self._pairs.append((near, far))
            return far


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        try:
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in ready.select():
                    chunk = key.fileobj.recv(_CHUNK)  # type: ignore[union-attr]
                    if not chunk:
                        return
                    key.data.sendall(chunk)
        except (OSError, ValueError):
            return
        finally:
            _end(near)
            _end(far)


def _end(each: socket.socket) -> None:
    with suppress(OSError):  # it has ended already
        each.shutdown(socket.SHUT_RDWR)
    each.close()
