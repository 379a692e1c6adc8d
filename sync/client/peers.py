"""Two officers without a network: each device notes how far the other's journal goes.

Whoever noted a head can prove later that the lines up to it existed, also if the
other device never syncs (docs/protocol.md §4.1, docs/evidence.md §6).
"""

from typing import Any

from sync import shortcode
from sync.client.errors import HeadMistyped, NothingWritten
from sync.client.journal import Journal
from sync.client.outbox import Outbox
from sync.client.results import Place, place_of
from sync.evidence import acts
from sync.shortcode import FullHead, Mistyped, ShortHead


def own_head(outbox: Outbox, journal: Journal) -> FullHead:
    """Where this device's journal stands, for the other one to note.

    Raises:
        NothingWritten: if the journal is empty.
    """
    head = outbox.head()
    if head.next_seq == 0:
        raise NothingWritten
    return FullHead(journal.device, head.epoch, head.next_seq - 1, head.digest)


def note_head(
    outbox: Outbox,
    journal: Journal,
    said: str,
    *,
    device: str | None = None,
    inspection: str | None = None,
) -> Place:
    """Note the head that ``said`` spells, typed or scanned, as a ``peer.head`` line.

    ``device`` says whose a typed code is; without ``inspection`` it is the one
    that alone is open here, if there is one.

    Raises:
        HeadMistyped: if ``said`` is no journal head, or this device's own.
    """
    try:
        head = shortcode.parse(said)
    except Mistyped as error:
        raise HeadMistyped(said, error.count, error.foreign) from error
    act: dict[str, Any] = {"type": acts.PEER_HEAD, "seq": head.seq}
    match head:
        case FullHead(owner, epoch, _, digest):
            if owner == journal.device:
                raise HeadMistyped(said, shortcode.CODE_LENGTH, "")
            act |= {"device": owner, "epoch": epoch, "head": digest}
        case ShortHead(_, code):
            act |= {"code": code} | ({"device": device} if device else {})
    inspection = inspection or _only_open(outbox)
    if inspection is not None:
        act["inspection"] = inspection
    return place_of(journal.append(act))


def _only_open(outbox: Outbox) -> str | None:
    rows = outbox.db.execute("SELECT id FROM inspection WHERE sealed = 0 LIMIT 2").fetchall()
    return str(rows[0][0]) if len(rows) == 1 else None
