"""The regions that the service runs in, their distances on the globe, and the region of an address."""

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

EARTH_RADIUS_KM = 6371.0
KM_PER_MS_OF_RTT = 60.0  # of a great circle: light in fibre travels 200 km/ms one way, and cables detour
MIN_RTT_MS = 1.0  # the round trip within one location, in milliseconds


@dataclass(frozen=True)
class Region:
    """A location that the service can run in. Coordinates are in degrees north and east."""

    name: str
    latitude: float
    longitude: float


REGIONS = {
    region.name: region
    for region in (
        Region("us-east", 37.37, -79.82),  # Virginia
        Region("eu-west", 53.35, -6.26),  # Ireland
        Region("ap-northeast", 35.68, 139.77),  # Tokyo
        Region("ap-southeast", 1.28, 103.83),  # Singapore
    )
}
ORIGIN = "us-east"  # the region of the primary, and of clients whose location is unknown
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")  # the last but one: behind a carrier
_NEVER_LOCATED = [ipaddress.ip_network(network) for network in _PRIVATE]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reader(Protocol):
    """The interface of `maxminddb.Reader` used here. It is opened once and read from any number of threads."""

    def get(self, ip_address: Any) -> Any:
        """Return the record of an address, or None."""


def distance_km(latitude: float, longitude: float, region: Region) -> float:
    """Return the great-circle distance of a point, in degrees, from a region (haversine)."""
    north, south = math.radians(latitude), math.radians(region.latitude)
    across = math.radians(region.longitude - longitude)
    half = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(across / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def prior_ms(region: Region, others: Sequence[Region]) -> Mapping[str, float]:
    """Return the estimated round trips to other regions in milliseconds, by name: good enough until some have been measured."""
    return {other.name: MIN_RTT_MS + distance_km(region.latitude, region.longitude, other) / KM_PER_MS_OF_RTT for other in others}


def region_of(address: Address | None, reader: Reader, default: str = ORIGIN) -> str:
    """Return the region closest to an address by its GeoLite2-City record; the default one if it is unknown or private."""
    if address is None or _is_internal(address):
        return default
    place = (reader.get(address) or {}).get("location", {})
    if "latitude" not in place or "longitude" not in place:
        return default
    return min(REGIONS.values(), key=lambda region: distance_km(place["latitude"], place["longitude"], region)).name


def client_address(peer: str, forwarded_for: str = "", trusted_hops: int = 1) -> Address | None:
    """Return the address of a client behind `trusted_hops` proxies that are trusted, or None if it cannot be determined.

    Each proxy appends its caller's address to X-Forwarded-For. Only the entries of trusted proxies, right-most, are reliable; all
    others come from the client. Without trusted proxies only the peer is known.
    """
    hops = [hop.strip() for hop in forwarded_for.split(",") if hop.strip()]
    chosen = hops[-min(trusted_hops, len(hops))] if trusted_hops and hops else peer
    try:
        return ipaddress.ip_address(chosen.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_internal(address: Address) -> bool:
    """Return whether an address has no location. Documentation prefixes do not belong to these: a database may locate them."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
    return special or any(address in network for network in _NEVER_LOCATED if network.version == address.version)
