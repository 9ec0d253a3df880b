"""Regions: distances, the region of an address, and the trust in forwarded addresses."""

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.edges.regions import (
    EARTH_RADIUS_KM,
    MIN_RTT_MS,
    ORIGIN,
    REGIONS,
    Region,
    client_address,
    distance_km,
    prior_ms,
    region_of,
)

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)


class Places:
    """A reader that locates every address at one point, and records the lookups."""

    def __init__(self, record: Any) -> None:
        self.record = record
        self.lookups: list[Any] = []

    def get(self, ip_address: Any) -> Any:
        """Return the one record."""
        self.lookups.append(ip_address)
        return self.record


def located(latitude: float, longitude: float) -> Places:
    """Return a reader that locates every address at this point."""
    return Places({"location": {"latitude": latitude, "longitude": longitude}})


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_symmetric_and_at_most_half_the_circumference(a: float, b: float, c: float, d: float) -> None:
    """A great circle has one length, between 0 and half the circumference."""
    there, back = distance_km(a, b, Region("", c, d)), distance_km(c, d, Region("", a, b))
    assert there == pytest.approx(back, abs=1e-3)
    assert 0 <= there <= EARTH_RADIUS_KM * 3.1416


def test_distance_agrees_with_a_known_one() -> None:
    """London to Tokyo is about 9 560 km."""
    assert distance_km(51.5, -0.12, Region("", 35.68, 139.69)) == pytest.approx(9560, rel=0.01)


def test_a_regions_own_edge_has_the_lowest_prior() -> None:
    """The estimate for the region's own edge is lower than for every other."""
    for region in REGIONS.values():
        found = prior_ms(region, list(REGIONS.values()))
        assert found[region.name] == pytest.approx(MIN_RTT_MS)
        assert min(found, key=lambda name: found[name]) == region.name


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [(40.7, -74.0, "us-east"), (48.9, 2.3, "eu-west"), (37.6, 127.0, "ap-northeast"), (-6.2, 106.8, "ap-southeast")],
)
def test_an_address_belongs_to_the_nearest_region(latitude: float, longitude: float, expected: str) -> None:
    """New York, Paris, Seoul and Jakarta each belong to the closest region."""
    assert region_of(ipaddress.ip_address("203.0.113.9"), located(latitude, longitude)) == expected


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.1.2.3",
        "172.16.9.9",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.1.1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
    ],
)
def test_internal_addresses_are_never_looked_up(address: str) -> None:
    """Loopback, private and link-local addresses get the default region without a lookup."""
    reader = located(35.7, 139.7)
    assert region_of(ipaddress.ip_address(address), reader) == ORIGIN
    assert reader.lookups == []


@pytest.mark.parametrize("record", [None, {}, {"location": {}}, {"location": {"latitude": 1.0}}, {"country": {"iso_code": "JP"}}])
def test_unknown_addresses_get_the_default(record: Any) -> None:
    """An address without coordinates is served by the default region."""
    assert region_of(ipaddress.ip_address("203.0.113.9"), Places(record), "eu-west") == "eu-west"
    assert region_of(None, Places(record), "eu-west") == "eu-west"


def test_only_the_entry_of_the_trusted_proxy_counts() -> None:
    """A client's entries in X-Forwarded-For are left of the trusted proxy's, and are ignored."""
    forged = "198.51.100.1, 192.0.2.50"
    assert str(client_address("10.0.0.9", forged)) == "192.0.2.50"
    assert str(client_address("10.0.0.9", "9.9.9.9, 198.51.100.1, 192.0.2.50", trusted_hops=2)) == "198.51.100.1"


def test_without_proxies_only_the_peer_is_known() -> None:
    """With no trusted hop the header is only a claim of the client."""
    assert str(client_address("192.0.2.7", "198.51.100.1", trusted_hops=0)) == "192.0.2.7"
    assert str(client_address("192.0.2.7", "")) == "192.0.2.7"


@given(st.text(max_size=40), st.text(max_size=40), st.integers(0, 3))
def test_any_text_is_an_address_or_none(peer: str, header: str, hops: int) -> None:
    """Any header gives an address or None, never an error."""
    found = client_address(peer, header, hops)
    assert found is None or ipaddress.ip_address(str(found)) == found


@given(st.lists(st.ip_addresses().map(str), min_size=1, max_size=5), st.ip_addresses().map(str))
def test_a_client_cannot_choose_its_address(claimed: list[str], real: str) -> None:
    """Whatever a client puts before it, the last entry is used."""
    assert client_address("10.0.0.1", ", ".join([*claimed, real])) == ipaddress.ip_address(real)
