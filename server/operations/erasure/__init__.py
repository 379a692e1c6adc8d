"""Lawful erasure (依法删除): what may go, on whose word, and how it goes (docs/operations.md).

What goes is text and bytes. Digests, signatures, leaves and proofs stay, so that
every other proof holds, and so does the fact that something was here.
"""

from server.operations.erased import Mark, marks_of_items, text_mark
from server.operations.erasure.carrying import carry_out, erase_waiting
from server.operations.erasure.holds import ask_to_lift, held_inspections, lift_hold, set_hold
from server.operations.erasure.listing import Expired, Listed, expired_units, list_unit
from server.operations.erasure.ordering import Request, decide, request_erasure, withdraw
from server.operations.erasure.terms import Terms
from server.operations.erasure.view import (
    ErasurePage,
    HoldRow,
    OrderRow,
    UnitPage,
    read_erasure,
    read_unit,
)

__all__ = [
    "ErasurePage",
    "Expired",
    "HoldRow",
    "Listed",
    "Mark",
    "OrderRow",
    "Request",
    "Terms",
    "UnitPage",
    "ask_to_lift",
    "carry_out",
    "decide",
    "erase_waiting",
    "expired_units",
    "held_inspections",
    "lift_hold",
    "list_unit",
    "marks_of_items",
    "read_erasure",
    "read_unit",
    "request_erasure",
    "set_hold",
    "text_mark",
    "withdraw",
]
