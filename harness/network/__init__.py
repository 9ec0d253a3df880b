"""Distance to a server on this machine: a TCP proxy on loopback that adds round-trip time, and breaks connections on command.

    with link(("127.0.0.1", 5432), Conditions(rtt_ms=5)) as far:
        connect(far.host, far.port)

The proxy is a process of its own, so that neither a client's event loop nor its GIL delays what passes. What it models and what it
leaves out is told in `harness.network.relay`; `harness network` prints how exact it is on a machine.
"""

from harness.network.conditions import Conditions
from harness.network.proxy import Link, Traffic, link

__all__ = ["Conditions", "Link", "Traffic", "link"]
