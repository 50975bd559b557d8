"""A relay in front of PostgreSQL that cuts a connection whose COMMIT was carried out, before the answer comes."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit


class CuttingRelay:
    """Passes bytes on between clients and the server of `url`.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(self._port()))))
        self._armed = threading.Event()
        self.cut = threading.Event()
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def arm(self) -> None:
        """Cut at the next COMMIT, once."""
        self.cut.clear()
        self._armed.set()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                threading.Thread(target=self._relay, args=(client, server), daemon=True).start()

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            cutting = False
            while True:
                for key, _ in selector.select():
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    data = source.recv(65536)
                    if not data:
                        return
                    if cutting and source is server:
                        self.cut.set()
                        return
                    if source is client and b"COMMIT;" in data and self._armed.is_set():
                        self._armed.clear()
                        cutting = True
                    target.sendall(data)
