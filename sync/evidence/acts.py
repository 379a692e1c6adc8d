"""The acts that a journal line can record, and the fields each must carry (docs/protocol.md §4.1).

A server or verifier keeps an act it does not know; these names are for those that it does.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

from . import canonical
from .errors import LineMalformed

EPOCH_OPENED = "epoch.opened"
SESSION_OPENED = "session.opened"
SESSION_CLOSED = "session.closed"
INSPECTION_OPENED = "inspection.opened"
INSPECTION_SEALED = "inspection.sealed"
RECORD_SAVED = "record.saved"
CAMERA_OPENED = "camera.opened"
MEDIA_CAPTURED = "media.captured"
MEDIA_DISCARDED = "media.discarded"
MEDIA_IMPORTED = "media.imported"
IMPORT_LISTED = "import.listed"
RECORDING_STARTED = "recording.started"
RECORDING_SEGMENT = "recording.segment"
RECORDING_STOPPED = "recording.stopped"
POSITION_TRACK = "position.track"
CLOCK_COMPARED = "clock.compared"
ANCHOR_SEEN = "anchor.seen"
PEER_HEAD = "peer.head"
PARTY_RESPONSE = "party.response"
SHEET_PRINTED = "sheet.printed"
OBSTRUCTION_FLAGGED = "obstruction.flagged"
NOTE_ADDED = "note.added"
ADDENDUM_ADDED = "addendum.added"
DEVICE_WIPED = "device.wiped"
STEP_MARKED = "step.marked"
GAP_EXPLAINED = "gap.explained"
RECORDER_COMPARED = "recorder.compared"

#: Acts that announce a file by digest: each opens one evidence item.
MEDIA_ACTS = frozenset((MEDIA_CAPTURED, MEDIA_IMPORTED))

#: Capture classes (docs/evidence.md §6): in-app camera, system camera, imported.
CLASSES = ("A", "B", "C")

#: Steps of an inspection that have a word of their own; another one is kept and shown as written.
STEPS = (
    "arrival",
    "certificates_shown",
    "party_identified",
    "rights_told",
    "inspected",
    "stop_order",
    "sampled",
    "sealed_samples",
    "interviewed",
    "signed",
    "copies_handed_over",
    "result_told",
    "left",
)

#: Why nothing was recorded; another reason is kept and shown as written, ``other`` needs a text.
GAP_REASONS = (
    "explosion_proof",
    "classified",
    "privacy",
    "battery",
    "fault",
    "storage",
    "weather",
    "party_request",
    "other",
)

#: How a recorder's clock was compared: at docking, or from a frame that films the screen.
DOCKING, FRAME = "docking", "frame"
COMPARISON_METHODS = (DOCKING, FRAME)

_STR, _INT, _LIST, _DICT = (str,), (int,), (list,), (dict,)
_REQUIRED: Dict[str, Dict[str, Tuple[type, ...]]] = {
    EPOCH_OPENED: {"spki": _STR, "reason": _STR},
    SESSION_OPENED: {"officer": _STR, "session": _STR, "method": _STR, "certificate_no": _STR},
    SESSION_CLOSED: {"officer": _STR, "session": _STR},
    INSPECTION_OPENED: {"officer": _STR, "inspection": _STR, "officers": _LIST},
    INSPECTION_SEALED: {
        "officer": _STR,
        "inspection": _STR,
        "revisions": _LIST,
        "media": _LIST,
        "heads": _LIST,
    },
    RECORD_SAVED: {
        "officer": _STR,
        "inspection": _STR,
        "record": _STR,
        "template": _DICT,
        "fields": _DICT,
        "base": _LIST,
    },
    CAMERA_OPENED: {"officer": _STR, "inspection": _STR},
    MEDIA_CAPTURED: {
        "officer": _STR,
        "inspection": _STR,
        "item": _STR,
        "sha256": _STR,
        "size": _INT,
        "media_type": _STR,
        "class": _STR,
    },
    MEDIA_IMPORTED: {
        "officer": _STR,
        "item": _STR,
        "sha256": _STR,
        "size": _INT,
        "media_type": _STR,
        "class": _STR,
        "source": _DICT,
    },
    MEDIA_DISCARDED: {"officer": _STR, "inspection": _STR, "item": _STR, "reason": _STR},
    IMPORT_LISTED: {"officer": _STR, "listing": _STR, "page": _INT, "pages": _INT, "files": _LIST},
    CLOCK_COMPARED: {"server_ms": _INT, "offset_ms": _INT, "error_ms": _INT},
    ANCHOR_SEEN: {"checkpoint": _STR},
    PEER_HEAD: {"seq": _INT},
    SHEET_PRINTED: {
        "officer": _STR,
        "inspection": _STR,
        "seq": _INT,
        "head": _STR,
        "sha256": _STR,
        "items": _LIST,
    },
    NOTE_ADDED: {"officer": _STR, "inspection": _STR, "text": _STR},
    ADDENDUM_ADDED: {"officer": _STR, "inspection": _STR, "text": _STR},
    DEVICE_WIPED: {"lines": _INT, "media": _INT},
    RECORDING_STARTED: {"officer": _STR, "inspection": _STR, "recording": _STR},
    RECORDING_STOPPED: {"officer": _STR, "inspection": _STR, "recording": _STR},
    STEP_MARKED: {"officer": _STR, "inspection": _STR, "step": _STR},
    GAP_EXPLAINED: {
        "officer": _STR,
        "inspection": _STR,
        "from_ms": _INT,
        "to_ms": _INT,
        "reason": _STR,
    },
    RECORDER_COMPARED: {
        "officer": _STR,
        "recorder": _STR,
        "method": _STR,
        "recorder_ms": _INT,
        "offset_ms": _INT,
        "error_ms": _INT,
    },
}

#: A head that was scanned names its place and digest; one that was typed has a short ``code``.
_SCANNED_HEAD = {"device": _STR, "epoch": _STR, "head": _STR}  # type: Dict[str, Tuple[type, ...]]
_TYPED_HEAD = {"code": _STR}  # type: Dict[str, Tuple[type, ...]]

KNOWN = frozenset(_REQUIRED) | frozenset(
    (
        RECORDING_SEGMENT,
        POSITION_TRACK,
        PARTY_RESPONSE,
        OBSTRUCTION_FLAGGED,
    )
)


def missing_fields(act: Mapping[str, Any]) -> List[str]:
    """Name the fields that a known act lacks or holds in another type; empty if it is whole."""
    required = _REQUIRED.get(act["type"], {})
    if act["type"] == PEER_HEAD:
        required = dict(required, **(_TYPED_HEAD if "code" in act else _SCANNED_HEAD))
    # The exact type: JSON's true is no number, though Python's bool is an int.
    return sorted(name for name, kinds in required.items() if type(act.get(name)) not in kinds)


def record_fields(parts: Mapping[int, bytes]) -> Dict[str, Any]:
    """All fields of a ``record.saved``: those of its act, and each sensitive one's own part.

    A part that was withheld or lawfully erased is simply not among them.

    Raises:
        LineMalformed: if a part is no field, or one that was given already.
    """
    fields = {}  # type: Dict[str, Any]
    for number in sorted(parts):
        part = canonical.loads(parts[number])
        if number == 0:
            fields.update(part["fields"])
            continue
        if set(part) != {"salt", "field", "value"} or not isinstance(part["field"], str):
            raise LineMalformed("b", "a further part of a record is one field")
        if part["field"] in fields:
            raise LineMalformed("b", "a field is given once")
        fields[part["field"]] = part["value"]
    return fields
