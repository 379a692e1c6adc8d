"""From journal lines to what the screens show (docs/protocol.md §4.2)."""

from server.operations.projection.act import (
    Outcome,
    act_of_digest,
    header_of,
    is_uuid,
)
from server.operations.projection.projector import Projector

__all__ = ["Outcome", "Projector", "act_of_digest", "header_of", "is_uuid"]
