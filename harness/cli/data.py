"""List or prune the snapshot cache: filled databases and computed values that later runs start from.

The cache is in the user's cache folder, or in the one that HARNESS_CACHE names; HARNESS_CACHE=off switches it off. A run removes
the entries that were not used for longest once the cache has more bytes than HARNESS_CACHE_SIZE (default: 10GB).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from harness import options as converters
from harness.cli import _options
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.runtime.snapshot_cache import CacheEntry

EXTENSIBLE = True
"""A project may have a command of this name: its actions are added to these."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="print the entries of the snapshot cache, with size and last use")
    prune = actions.add_parser("prune", help="remove the entries of the snapshot cache that were not used for longest")
    limits = prune.add_mutually_exclusive_group()
    limits.add_argument("--all", action="store_true", help="remove every entry that no run uses")
    _options.value(
        limits, "--max-size SIZE", converters.byte_size, "bytes that remain at most, such as 2GB (default: HARNESS_CACHE_SIZE)"
    )
    for action in (listing, prune):
        _options.json_output(action)
        action.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the action, print its result and return 0; UsageError if the cache is switched off or cannot be read or written."""
    from harness.cli import _console
    from harness.runtime.snapshot_cache import FOLDER_VARIABLE, OFF, shown_bytes, snapshot_cache

    cache = snapshot_cache()
    if cache is None:
        raise UsageError(f"the snapshot cache is switched off ({FOLDER_VARIABLE}={OFF}); unset {FOLDER_VARIABLE}")
    is_pruned = options.action == "prune"
    try:
        limit = cache.limit
        if is_pruned and (options.all or options.max_size is not None):
            limit = 0 if options.all else options.max_size
        entries = cache.prune(limit) if is_pruned else cache.entries()
        left = cache.entries() if is_pruned else entries
    except OSError as error:
        raise UsageError(cache.problem("write" if is_pruned else "read", error)) from error
    size, left_size = sum(entry.size for entry in entries), sum(entry.size for entry in left)
    if options.json:
        found = [{"key": e.key, "size": e.size, "used_at": e.used_at, "parts": dict(e.parts)} for e in entries]
        _console.print_json({"folder": str(cache.folder), "limit": limit, "entries": found, "size": size, "left": left_size})
        return 0
    if entries:
        _console.print_table(("entry", "engine", "size", "last used", "data"), map(_row, entries))
    count = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    if not is_pruned:
        _console.print_lines(f"{count}, {shown_bytes(size)} of at most {shown_bytes(limit)}, in {cache.folder}")
        return 0
    _console.print_lines(f"removed {count}, {shown_bytes(size)}; {shown_bytes(left_size)} left in {cache.folder}")
    if left_size > limit:
        users = ", ".join(dict.fromkeys(str(user.parent) for entry in left for user in cache.users(entry.key))) or "another process"
        _console.print_lines(f"in use by {users}; prune again after these runs, or remove the folders that no run uses")
    return 0


def _row(entry: CacheEntry) -> tuple[str, ...]:
    from datetime import UTC, datetime

    from harness.runtime.snapshot_cache import shown_bytes

    parts = entry.parts
    data = " · ".join(parts[name] for name in ("name", "size", "migration") if name in parts) or "cannot be read"
    used = f"{datetime.fromtimestamp(entry.used_at, UTC):%Y-%m-%d %H:%M} UTC"
    return entry.key[:8], parts.get("engine", "–"), shown_bytes(entry.size), used, data
