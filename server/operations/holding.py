"""Whose bytes they are: an organisation holds what it has sent itself (docs/protocol.md §7).

The store keeps equal bytes once, for everybody. A digest is no secret (packages
list those of withheld items), so knowing one must not open another's evidence.
"""

from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select

from server.models.uploads import ObjectFixity, Upload

#: The ends of an upload whose bytes were whole: giving up a finished one takes nothing back.
SENT = ("stored", "terminated")


def held(sha256: Any, organization_id: Any) -> ColumnElement[bool]:
    """Whether the organisation has sent the bytes of that digest; each a column or a value.

    Bytes that no upload brought, such as restored ones, are held by whoever announces them.
    """
    sent = select(literal(1)).where(
        Upload.sha256 == sha256,
        Upload.found_sha256 == Upload.sha256,
        Upload.status.in_(SENT),
    )
    return or_(sent.where(Upload.organization_id == organization_id).exists(), ~sent.exists())


def lost(sha256: Any) -> ColumnElement[bool]:
    """Whether the original of that digest was gone or changed when it was last read whole.

    Its bytes are wanted from whoever still has them.
    """
    return (
        select(literal(1))
        .where(ObjectFixity.sha256 == sha256, ObjectFixity.outcome != "whole")
        .exists()
    )
