"""The client's I/O: one module for each HTTP engine, each an implementation of `contract.wire.Transport`."""

from ajoxi_async.transports.engines import EngineTransport
from ajoxi_async.transports.settings import TransportSettings, session_kind

__all__ = ["EngineTransport", "TransportSettings", "session_kind"]
