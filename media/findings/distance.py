"""Distances on the ground, and the shifted datum of Chinese maps (GCJ-02)."""

from __future__ import annotations

import math
from typing import Tuple

_EARTH_M = 6371008.8
_KRASOVSKY_M = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323


def metres_between(lat_a: int, lon_a: int, lat_b: int, lon_b: int) -> int:
    """Great-circle distance in whole metres of two positions in 1e-7 degrees."""
    phi_a, phi_b = math.radians(lat_a / 1e7), math.radians(lat_b / 1e7)
    half_lat = (phi_b - phi_a) / 2
    half_lon = math.radians((lon_b - lon_a) / 1e7) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(phi_a) * math.cos(phi_b) * math.sin(half_lon) ** 2
    return round(2 * _EARTH_M * math.asin(min(1.0, math.sqrt(chord))))


def from_gcj02(lat_e7: int, lon_e7: int) -> Tuple[int, int]:
    """WGS-84 of a position that was given in GCJ-02, to about two metres.

    Outside the rectangle in which China's maps are shifted, the position itself.
    """
    lat, lon = lat_e7 / 1e7, lon_e7 / 1e7
    if not (0.8293 <= lat <= 55.8271 and 72.004 <= lon <= 137.8347):
        return lat_e7, lon_e7
    north, east = _shift(lat, lon)
    return round((lat - north) * 1e7), round((lon - east) * 1e7)


def _shift(lat: float, lon: float) -> Tuple[float, float]:
    """Degrees by which GCJ-02 moves a position north and east."""
    x, y = lon - 105.0, lat - 35.0
    waves = 20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    north += waves * 2 / 3
    north += (20 * math.sin(y * math.pi) + 40 * math.sin(y / 3 * math.pi)) * 2 / 3
    north += (160 * math.sin(y / 12 * math.pi) + 320 * math.sin(y * math.pi / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    east += waves * 2 / 3
    east += (20 * math.sin(x * math.pi) + 40 * math.sin(x / 3 * math.pi)) * 2 / 3
    east += (150 * math.sin(x / 12 * math.pi) + 300 * math.sin(x / 30 * math.pi)) * 2 / 3
    phi = math.radians(lat)
    magic = 1 - _KRASOVSKY_E2 * math.sin(phi) ** 2
    meridian = _KRASOVSKY_M * (1 - _KRASOVSKY_E2) / (magic * math.sqrt(magic))
    parallel = _KRASOVSKY_M / math.sqrt(magic) * math.cos(phi)
    return math.degrees(north / meridian), math.degrees(east / parallel)
