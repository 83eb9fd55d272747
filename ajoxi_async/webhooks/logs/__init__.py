"""Logs of handled events, so that each event is handled once however often it is delivered.

`MemoryLog` is for one process, `SqliteLog` for the workers of a machine, `RedisLog` for workers on several machines. The
rules of a log are in `ajoxi_async.webhooks.logs.memory`.
"""

from ajoxi_async.webhooks.logs.memory import LEASE, REMEMBER, Claim, EventLog, MemoryLog
from ajoxi_async.webhooks.logs.redis import RedisLog
from ajoxi_async.webhooks.logs.sqlite import SqliteLog

__all__ = ["LEASE", "REMEMBER", "Claim", "EventLog", "MemoryLog", "RedisLog", "SqliteLog"]
