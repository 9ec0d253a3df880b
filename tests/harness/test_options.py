"""Converters of options: what each accepts, and the message for what it refuses."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import options


@pytest.mark.parametrize(
    ("convert", "text", "value"),
    [
        (options.percent(), "3%", 0.03),
        (options.percent(), "3 %", 0.03),
        (options.percent(), " .5% ", 0.005),
        (options.percent(), "0.03", 0.03),
        (options.percent(), "10000%", 100.0),
        (options.percent(1.0), "100%", 1.0),
        (options.percent(zero=True), "0", 0.0),
        (options.percent(zero=True), "0%", 0.0),
        (options.duration, "30", 30.0),
        (options.duration, "10s", 10.0),
        (options.duration, "250ms", 0.25),
        (options.duration, "2 m", 120.0),
        (options.duration, "1.5", 1.5),
        (options.duration_or_zero, "0", 0.0),
        (options.duration_or_zero, "0ms", 0.0),
        (options.byte_size, "0", 0),
        (options.byte_size, "500MB", 500_000_000),
        (options.byte_size, "1.5 gb", 1_500_000_000),
        (options.byte_size, "2T", 2 * 10**12),
        (options.byte_size, "12 kB", 12_000),
        (options.count(), "1", 1),
        (options.count(100), "100", 100),
        (options.seed, "0", 0),
        (options.seed, str(2**63 - 1), 2**63 - 1),
        (options.port, "5432", 5432),
        (options.port, "0", None),
        (options.names, "a, b,a", ["a", "b"]),
        (options.names_of("fruit", lambda: ["apple", "pear"]), "pear", ["pear"]),
        (options.names_of("fruit", lambda: ["apple", "pear"], all_of_them=True), "all", ["apple", "pear"]),
        (options.size, "tiny", "tiny"),
        (options.engine, "sqlite", "sqlite"),
        (options.engines, "turso,sqlite,turso", ["turso", "sqlite"]),
        (options.rtts_ms, "5,0,5", [0.0, 5.0]),
        (options.rtt_ms, "2.5", 2.5),
        (options.path, "runs/1", Path("runs/1")),
        (options.place, "x" * 255, "x" * 255),
        (options.place, "\udcff" * 255, "\udcff" * 255),
    ],
)
def test_text_is_converted(convert: Callable[[str], Any], text: str, value: object) -> None:
    """Units, spaces and lists give the value in the unit of the name."""
    assert convert(text) == value


@pytest.mark.parametrize(
    ("convert", "text", "message"),
    [
        (options.percent(1.0), "300%", "'300%' is not a percentage above 0 and up to 100 %; try 3%"),
        (options.percent(1.0), "0", "'0' is not a percentage above 0 and up to 100 %; try 3%"),
        (options.percent(zero=True, example="25%"), "-1%", "'-1%' is not a percentage from 0; try 25%"),
        (options.byte_size, "-1", "'-1' is not a number of bytes; try 500MB, 10GB or 0"),
        (options.byte_size, "9" * 400, f"'{'9' * 49}…{'9' * 50}' is not a number of bytes; try 500MB, 10GB or 0"),
        (options.byte_size, "10 GiB", "'10 GiB' is not a number of bytes; try 500MB, 10GB or 0"),
        (options.percent(), "much", "'much' is not a percentage above 0; try 3%"),
        (options.percent(), "nan%", "'nan%' is not a percentage above 0; try 3%"),
        (options.percent(), "1e3%", "'1e3%' is not a percentage above 0; try 3%"),
        (options.percent(), "3%x", "'3%x' is not a percentage above 0; try 3%"),
        (options.percent(), "3", "'3' is ambiguous as a percentage; write 3% or a share below 1"),
        (options.duration, "0", "'0' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (options.duration, "1h", "'1h' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (options.duration, "-3", "'-3' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (options.duration, "inf", "'inf' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (options.duration, "86401", "'86401' is not a duration above 0 and up to a day; try 30s, 500ms or 2m"),
        (options.duration_or_zero, "long", "'long' is not a duration up to a day; try 0, 30s, 500ms or 2m"),
        (options.count(100), "0", "'0' is not a whole number from 1 to 100"),
        (options.count(100), "101", "'101' is not a whole number from 1 to 100"),
        (options.count(), "2.5", "'2.5' is not a whole number above 0"),
        (options.count(), "²", "'²' is not a whole number above 0"),
        (options.count(), "9" * 5_000, f"'{'9' * 49}…{'9' * 50}' is not a whole number above 0"),
        (options.seed, "-1", f"'-1' is not a whole number from 0 to {2**63 - 1}; try 0"),
        (options.seed, str(2**63), f"'{2**63}' is not a whole number from 0 to {2**63 - 1}; try 0"),
        (options.port, "70000", "'70000' is not a port from 0 to 65535; 0 means a free port"),
        (options.names, "a,,b", "'a,,b' has an empty name; separate names with single commas"),
        (options.names_of("fruit", lambda: ["apple"]), "fig", "unknown fruit 'fig'; choose from apple"),
        (options.size, "vast", "unknown size 'vast'; choose from tiny, small, medium, large"),
        (options.engine, "oracle", "unknown engine 'oracle'; choose from postgres, sqlite, turso"),
        (options.engine, "all", "unknown engine 'all'; choose from postgres, sqlite, turso"),
        (options.engines, "sqlite,oracle", "unknown engine 'oracle'; choose from postgres, sqlite, turso, all"),
        (options.rtts_ms, "fast", "'fast' is not a list of milliseconds; try 0,5"),
        (options.rtts_ms, "0,-1", "'0,-1' is not between 0 and 2000 ms; try 0,5"),
        (options.rtts_ms, "\u0661", "'\u0661' is not a list of milliseconds; try 0,5"),
        (options.rtts_ms, "1_0", "'1_0' is not a list of milliseconds; try 0,5"),
        (options.path, "", "an empty text names no file or folder; . is the current folder"),
        (
            options.path,
            "x" * 256,
            f"'{'x' * 49}…{'x' * 50}' can be no path: a name in it has at most 255 bytes, and it has at most 4,095",
        ),
        (
            options.path,
            "y/" * 2_048,
            f"'{'y/' * 24}y…{'y/' * 25}' can be no path: a name in it has at most 255 bytes, and it has at most 4,095",
        ),
        (options.place, "a\0b", r"'a\x00b' can be no path: a name in it has at most 255 bytes, and it has at most 4,095"),
        (options.rtts_ms, "nan", "'nan' is not between 0 and 2000 ms; try 0,5"),
        (options.rtt_ms, "far", "'far' is not a number of milliseconds from 0 to 2000; try 5"),
        (options.rtt_ms, "-1", "'-1' is not a number of milliseconds from 0 to 2000; try 5"),
        (options.rtt_ms, "0,5", "'0,5' has several round-trip times, only one is supported here; try 5"),
    ],
)
def test_what_cannot_be_converted_is_refused(convert: Callable[[str], Any], text: str, message: str) -> None:
    """The message names the text and shows what is valid."""
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        convert(text)
    assert str(refused.value) == message
