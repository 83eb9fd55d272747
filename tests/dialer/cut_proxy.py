"""A TCP proxy on loopback whose line can be cut: what is sent is kept back and nobody is told, as when a cable is pulled."""

from __future__ import annotations

import select
import socket
import threading

_PIECE = 65_536


class CutProxy:
    """Forwards connections to a port of this machine until the line is cut.

    Args:
        target: the port to forward to.
    """

    def __init__(self, target: int) -> None:
        self._target = ("127.0.0.1", target)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_cut = self._is_closed = False
        self._thread = threading.Thread(target=self._serve, name="cut-proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Forward nothing from now on; connections stay open, and new ones are not answered."""
        with self._lock:
            self._is_cut = True

    def mend(self) -> None:
        """Forward again. Connections that were cut are closed, as by a router that has forgotten them."""
        with self._lock:
            self._drop()
            self._is_cut = False
        self._wake.send(b"x")

    def close(self) -> None:
        """Close everything."""
        self._is_closed = True
        self._wake.send(b"x")
        self._thread.join(5)
        self._drop()
        for one in (self._listener, self._wake, self._woken):
            one.close()

    def _drop(self) -> None:
        for one in self._pairs:
            one.close()
        self._pairs.clear()

    def _serve(self) -> None:
        while not self._is_closed:
            watched = [self._woken] if self._is_cut else [self._woken, self._listener, *self._pairs]
            ready = select.select(watched, [], [], 0.5)[0]
            with self._lock:
                for one in ready:
                    if one is self._woken:
                        one.recv(64)
                    elif self._is_cut:
                        break
                    elif one is self._listener:
                        self._accept()
                    elif one in self._pairs:
                        self._forward(one)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(self._target, 2)
        except OSError:
            near.close()
            return
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs[near], self._pairs[far] = far, near

    def _forward(self, one: socket.socket) -> None:
        other = self._pairs[one]
        try:
            piece = one.recv(_PIECE)
            if piece:
                other.sendall(piece)
                return
        except OSError:
            pass
        for end in (one, other):
            self._pairs.pop(end, None)
            end.close()
