from ajoxi_async import AsyncAjoxi
from ajoxi_async.dialer.client import DialerClient, DialerCalls
def f(c: AsyncAjoxi) -> None:
    reveal_type(c.calls)
    d: DialerCalls = c.calls
    e: DialerClient = c
