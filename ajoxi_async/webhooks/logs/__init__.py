"""Which events were handled, so that each is handled once however often it is delivered.

`MemoryLog` for one process, `SqliteLog` for the workers of a machine, `RedisLog` for those of many. The rules of a log stand
in `ajoxi_async.webhooks.logs.memory`.
"""

from ajoxi_async.webhooks.logs.memory import LEASE, REMEMBER, Claim, EventLog, MemoryLog
from ajoxi_async.webhooks.logs.redis import RedisLog
from ajoxi_async.webhooks.logs.sqlite import SqliteLog

__all__ = ["LEASE", "REMEMBER", "Claim", "EventLog", "MemoryLog", "RedisLog", "SqliteLog"]
