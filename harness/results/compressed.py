"""Decompress files that gzip wrote, within a limit."""

import zlib
from pathlib import Path

from harness.errors import UsageError

MAX_BYTES = 512 * 2**20
"""The largest size of a file that is read, compressed or not; a larger one is unlikely to be a result."""
GZIP = b"\x1f\x8b"


def unpacked(path: Path, body: bytes, most: int = MAX_BYTES) -> bytes:
    """Return the content of a gzip file, of all its members; other files as they are.

    Raises:
        UsageError: it is truncated or damaged, has more than `most` bytes, or something after its content.
    """
    parts: list[bytes] = []
    while body.startswith(GZIP):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            parts.append(unpacker.decompress(body, most + 1 - sum(map(len, parts))))
        except zlib.error as error:
            raise UsageError(f"{path} cannot be decompressed ({error}); is it still being written?") from error
        if sum(map(len, parts)) > most:
            raise UsageError(f"{path} decompresses to more than the limit of {most // 2**20} MB")
        if not unpacker.eof:
            raise UsageError(f"{path} is truncated; is it still being written?")
        body = unpacker.unused_data.lstrip(b"\0")
        if not body:
            return b"".join(parts)
    if parts:
        raise UsageError(f"{path} has {len(body):,} bytes after its compressed content; write it again")
    return body
