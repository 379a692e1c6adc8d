"""Exporting an inspection as an evidence package (证据包) that verifies without us.

``request_package`` fixes the moment that a package shows; the worker or the
command line then builds it. Whoever calls decides who may (docs/evidence.md §8).
"""

from server.operations.export.build import (
    build_package,
    build_waiting_packages,
    open_package,
    open_signature,
    package_name,
)
from server.operations.export.request import request_package

__all__ = [
    "build_package",
    "build_waiting_packages",
    "open_package",
    "open_signature",
    "package_name",
    "request_package",
]
