"""Load on existing targets: URLs, recorded requests, API documents and locustfiles become scenarios, whose file is a plan."""
