"""Single values in PostgreSQL's binary format, of the types that are not loaded as arrays of numbers or as texts.

The formats are those of the server's `*_recv` functions, in network byte order.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_FIRST_DAY = date(2000, 1, 1)
_NUMERIC_BASE, _NUMERIC_DIGITS = 10_000, 4
_NEGATIVE = 0x4000


def _numeric(value: Decimal | float | str) -> bytes:
    """Return digits to the base 10 000, with the weight of the first one, the sign and the number of decimal places."""
    sign, digits, exponent = Decimal(str(value)).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a finite number")  # noqa: TRY004 - NaN and infinity are values of the right type
    places = max(0, -exponent)
    padding = -places % _NUMERIC_DIGITS
    number = int("".join(map(str, digits))) * 10 ** (max(0, exponent) + padding)
    groups: list[int] = []
    while number:
        number, group = divmod(number, _NUMERIC_BASE)
        groups.insert(0, group)
    weight = len(groups) - (places + padding) // _NUMERIC_DIGITS - 1 if groups else 0
    return struct.pack(f">HhHH{len(groups)}H", len(groups), weight, _NEGATIVE if sign and groups else 0, places, *groups)


def _time(value: time) -> bytes:
    return struct.pack(">q", ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond)


def _interval(value: timedelta) -> bytes:
    return struct.pack(">qii", value.seconds * 1_000_000 + value.microseconds, value.days, 0)


BINARY: Mapping[str, Callable[[Any], bytes]] = {
    "bytea": bytes,
    "date": lambda value: struct.pack(">i", (value - _FIRST_DAY).days),
    "interval": _interval,
    "json": str.encode,
    "jsonb": lambda text: b"\x01" + text.encode(),
    "numeric": _numeric,
    "time": _time,
    "uuid": lambda value: UUID(str(value)).bytes,
}
"""Type → the function that encodes a value."""
