"""A co-officer's revision as a document, made from its row: it needs no second copy."""

from typing import Any

from sqlalchemy import Row

from sync.evidence import canonical

REVISION = "revision"


def revision_body(row: Row[*tuple[Any, ...]]) -> str:
    """The canonical JSON of a revision; members that a later line can change stay out."""
    plain = canonical.dumps(
        {
            "device": row.device_id,
            "epoch": row.epoch,
            "id": row.line_digest,
            "inspection": row.inspection_id,
            "officer": row.officer_id,
            "record": row.record_id,
            "saved_at_ms": row.saved_at_ms,
            "seq": row.seq,
            "template": {"id": row.template_id, "version": row.template_version},
        }
    ).decode()
    # Both are stored in their canonical form; their names come before and after "device".
    head, middle = plain.split('"epoch":', 1)
    middle, tail = middle.split('"id":', 1)
    return f'{{"base":{row.base},{head[1:]}"epoch":{middle}"fields":{row.fields},"id":{tail}'
