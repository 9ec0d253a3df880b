"""`python -m harness.network`: the proxy's process, started by `harness.network.link`."""

from __future__ import annotations

from harness.network.relay import main

if __name__ == "__main__":
    main()
