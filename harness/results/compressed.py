"""Read files, and decompress those that gzip wrote, within limits."""

import zlib
from pathlib import Path

from harness.errors import UsageError

MAX_BYTES = 512 * 2**20
"""The largest size of a file that is read, compressed or not; a larger one is unlikely to be a result."""
MAX_RATIO, SMALL_BYTES = 200, 16 * 2**20
"""The largest ratio of a content to its compressed size, of a content that is not small: results have ratios of 5 to 50."""
GZIP = b"\x1f\x8b"


def bytes_of(path: Path, most: int = MAX_BYTES) -> bytes:
    """Return the bytes of a regular file; UsageError if it is another kind of file or has more than `most`, OSError as usual."""
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file; name the file that was written")
    with path.open("rb") as file:
        body = file.read(most + 1)
    if len(body) > most:
        raise UsageError(f"{path} has more than the limit of {most // 2**20} MB; name a smaller file")
    return body


def unpacked(path: Path, body: bytes, most: int = MAX_BYTES) -> bytes:
    """Return the content of a gzip file, of all its members; other files as they are.

    Raises:
        UsageError: it is truncated or damaged, has more than `most` bytes, `MAX_RATIO` times its size, or something after its
            content.
    """
    parts: list[bytes] = []
    stored, ratio = len(body), max(SMALL_BYTES, MAX_RATIO * len(body))
    while body.startswith(GZIP):
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            parts.append(unpacker.decompress(body, min(most, ratio) + 1 - sum(map(len, parts))))
        except zlib.error as error:
            raise UsageError(f"{path} cannot be decompressed ({error}); is it still being written?") from error
        if sum(map(len, parts)) > most:
            raise UsageError(f"{path} decompresses to more than the limit of {most // 2**20} MB")
        if sum(map(len, parts)) > ratio:
            raise UsageError(f"{path} decompresses to more than {MAX_RATIO} times its {stored:,} bytes, which no result does")
        if not unpacker.eof:
            raise UsageError(f"{path} is truncated; is it still being written?")
        body = unpacker.unused_data.lstrip(b"\0")
        if not body:
            return b"".join(parts)
    if parts:
        raise UsageError(f"{path} has {len(body):,} bytes after its compressed content; write it again")
    return body
