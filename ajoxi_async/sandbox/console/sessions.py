"""Who is signed in to the console: one-time codes and the sessions that they are exchanged for. Pure.

Rules:
1. A code is 128 bits, works once and for five minutes. It stands in the fragment of a link, which browsers send to no server.
2. A session is 256 bits in a cookie. It ends twelve hours after its last request, when its user signs out, and with the process.
3. The name of the cookie has the port, because browsers send cookies to every port of a host.
4. Only hashes of codes and sessions are kept, and each is looked up by its hash, so that the time of a comparison says nothing.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import define, field

from ajoxi_async.sandbox.refusal import Refusal

__all__ = ["CODE_LIFE", "IDLE", "Sessions"]

#: Seconds for which a code works.
CODE_LIFE: Final = 300.0
#: Seconds after its last request at which a session ends.
IDLE: Final = 12 * 3600.0
#: The most codes and sessions that are kept; the oldest goes.
_CODES, _SESSIONS = 100, 100


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


@define(eq=False, repr=False)
class Sessions:
    """The codes and sessions of one console.

    Attributes:
        now: a clock that only grows, in seconds.
        on_end: called with the name of a session that ended.
        cookie: the name of the cookie.
    """

    now: Callable[[], float] = time.monotonic
    on_end: Callable[[bytes], None] = field(default=lambda _: None)
    cookie: str = field(default="", init=False)
    #: The moment until which a code works, or ``None`` once it was used.
    _codes: dict[bytes, float | None] = field(factory=dict, init=False)
    #: The moment of the last request.
    _sessions: dict[bytes, float] = field(factory=dict, init=False)

    def __rich_repr__(self) -> Iterator[object]:
        yield from ()  # Otherwise rich shows all fields.

    def use_port(self, port: int) -> None:
        """Name the cookie after the port on which the sandbox listens."""
        self.cookie = f"ajoxi_console_{port}"

    def new_code(self) -> str:
        """Make a code."""
        code = secrets.token_urlsafe(16)
        self._codes[_hash(code)] = self.now() + CODE_LIFE
        while len(self._codes) > _CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def exchange(self, code: str) -> str:
        """Start a session with a code and return its secret.

        Raises:
            Refusal: the code was used, is too old, or was never made.
        """
        name = _hash(code)
        if name not in self._codes:
            raise Refusal("code_unknown", "this code is not one of this sandbox; ask it for a new link", status=401)
        until, self._codes[name] = self._codes[name], None
        if until is None:
            raise Refusal("code_used", "this link was used already; ask the sandbox for a new one", status=401)
        if self.now() >= until:
            raise Refusal(
                "code_expired", "this link is older than five minutes; ask the sandbox for a new one", status=401
            )
        return self.start()

    def start(self) -> str:
        """Start a session and return its secret."""
        secret = secrets.token_urlsafe(32)
        self._sessions[_hash(secret)] = self.now()
        while len(self._sessions) > _SESSIONS:
            self._end(min(self._sessions, key=self._sessions.__getitem__))
        return secret

    def of(self, sent: Mapping[str, str]) -> bytes | None:
        """The name of the session whose cookie these headers have, and note that it was used; ``None`` if there is none."""
        name = self._named(sent)
        return name if name is not None and self.touch(name) else None

    def touch(self, name: bytes) -> bool:
        """Note that a session is used; return whether it has not ended."""
        used = self._sessions.get(name)
        if used is None:
            return False
        if self.now() - used >= IDLE:
            self._end(name)
            return False
        self._sessions[name] = self.now()
        return True

    def signed_in(self, sent: Mapping[str, str]) -> bool:
        """Whether these headers have the cookie of a session."""
        return self.of(sent) is not None

    def sign_out(self, sent: Mapping[str, str]) -> None:
        """End the session whose cookie these headers have."""
        name = self._named(sent)
        if name is not None:
            self._end(name)

    def _named(self, sent: Mapping[str, str]) -> bytes | None:
        for pair in sent.get("cookie", "").split(";"):
            name, _, value = pair.strip().partition("=")
            if name == self.cookie:
                return _hash(value)
        return None

    def _end(self, name: bytes) -> None:
        if self._sessions.pop(name, None) is not None:
            self.on_end(name)
