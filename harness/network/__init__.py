"""Network latency to a server on this machine: a TCP proxy on loopback that adds round-trip time and injects faults.

    with link(("127.0.0.1", 5432), Conditions(rtt_ms=5)) as proxy:
        connect(proxy.host, proxy.port)

The proxy is a separate process, so that neither a client's event loop nor its GIL delays the traffic. `harness.network.relay`
describes its model and limits; `harness network` measures its accuracy on this machine.
"""

from harness.network.conditions import Conditions
from harness.network.proxy import Link, Traffic, link, links

__all__ = ["Conditions", "Link", "Traffic", "link", "links"]
