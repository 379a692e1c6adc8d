"""Time stamps by outside authorities (RFC 3161), over checkpoints and packages.

Whoever distrusts our clock need not believe it: docs/evidence.md §5.1.
"""

from server.operations.stamps.beside import sidecars
from server.operations.stamps.rounds import stamp_package, stamp_what_is_due
from server.operations.stamps.standing import AuthorityStanding, StampsStanding, standing
from server.operations.stamps.travel import read_file, take_answer, write_requests

__all__ = [
    "AuthorityStanding",
    "StampsStanding",
    "read_file",
    "sidecars",
    "stamp_package",
    "stamp_what_is_due",
    "standing",
    "take_answer",
    "write_requests",
]
