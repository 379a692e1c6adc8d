"""Taking journal lines in: each line's place is decided on its own (docs/protocol.md §4.2).

Parsing and signatures are checked before the transaction; then the ledger's
head is locked, so that two pushes of one journal can never interleave.
"""

from server.operations.push.appending import PushOutcome, append_lines
from server.operations.push.parsing import (
    EpochNotOpened,
    Refused,
    UnknownKey,
    device_keys,
    parse_lines,
)

__all__ = [
    "EpochNotOpened",
    "PushOutcome",
    "Refused",
    "UnknownKey",
    "append_lines",
    "device_keys",
    "parse_lines",
]
