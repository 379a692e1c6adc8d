"""The verdict strip: what stands at a glance, each cell with a mark, a word and its reason."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from server.operations.evidence_view import EvidencePage
from server.operations.inspection_view import InspectionPage
from server.operations.witnessing import SeenLines

#: Marks, best first. ``none`` says that nothing was claimed, ``wait`` that it is not checked yet.
OK, NOTE, WAIT, DOUBT, FAIL, NONE = "ok", "note", "wait", "doubt", "fail", "none"

_OF_VERDICT = {"consistent": OK, "explainable": DOUBT, "inconsistent": FAIL, "absent": NOTE}
_MISMATCH, _OFF_SITE = "DIGEST_MISMATCH", "GPS_OFF_SITE"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: ``name`` and ``says`` are catalogue keys, ``anchor`` is where the reasons stand."""

    name: str
    mark: str
    says: str
    anchor: str
    numbers: dict[str, int] = field(default_factory=dict)


def item_strip(page: EvidencePage) -> tuple[Cell, ...]:
    """Integrity, signature, time, place and ledger of one item."""
    chain, ledger = page.line.chain, page.line.ledger
    signed = chain.signature_holds and chain.digest_holds and chain.follows
    return (
        _item_integrity(page),
        Cell(
            name="signature",
            mark=FAIL if not signed else DOUBT if chain.after_revocation else OK,
            says="broken" if not signed else "revoked" if chain.after_revocation else "holds",
            anchor="journal",
        ),
        Cell(
            name="time",
            mark=_OF_VERDICT.get(page.verdict or "", WAIT),
            says=page.verdict or "unchecked",
            anchor="time",
        ),
        _item_place(page),
        Cell(
            name="ledger",
            mark=OK if ledger.proved and ledger.committed else WAIT if not ledger.size else FAIL,
            says="proved" if ledger.proved and ledger.committed else _unproved(ledger.size),
            anchor="ledger",
        ),
    )


def inspection_strip(page: InspectionPage, seen: SeenLines) -> tuple[Cell, ...]:
    """Integrity, time, place, completeness, officers and witnesses of one inspection."""
    kept = [item for item in page.items if item.state != "discarded"]
    missing = sum(item.state == "captured" for item in kept)
    quarantined = page.quarantine.waiting + page.quarantine.kept
    differ = _with(page, _MISMATCH)
    apart = _with(page, _OFF_SITE)
    return (
        Cell(
            name="integrity",
            mark=FAIL if differ else NONE if not kept else OK,
            says="differ" if differ else "nothing" if not kept else "digests_equal",
            anchor="items",
            numbers={"number": differ or len(kept) - missing},
        ),
        _inspection_time(item.verdict for item in kept),
        Cell(
            name="place",
            mark=DOUBT if apart else NONE if not kept else OK,
            says="some_off_site" if apart else "nothing" if not kept else "no_doubt",
            anchor="items",
            numbers={"number": apart},
        ),
        Cell(
            name="completeness",
            mark=DOUBT if missing or quarantined else OK if page.sealed_line else WAIT,
            says=(
                "incomplete"
                if missing or quarantined
                else "complete"
                if page.sealed_line
                else "not_sealed"
            ),
            anchor="items" if missing else "quarantine" if quarantined else "summary",
            numbers={"missing": missing, "quarantined": quarantined},
        ),
        _officers(page),
        _peers(page),
        _witnesses(seen),
    )


def _witnesses(seen: SeenLines) -> Cell:
    """What a quorum of outside witnesses has seen of the inspection's lines."""
    if not seen.lines or seen.unseen == seen.lines:
        return Cell(name="witness", mark=NONE, says="not_witnessed", anchor="journal")
    if seen.unseen:
        numbers = {"unseen": seen.unseen, "lines": seen.lines}
        return Cell(
            name="witness", mark=WAIT, says="partly_witnessed", anchor="journal", numbers=numbers
        )
    return Cell(name="witness", mark=OK, says="witnessed", anchor="journal")


def _item_integrity(page: EvidencePage) -> Cell:
    if any(doubt.code == _MISMATCH for doubt in page.doubts):
        mark, says = FAIL, "mismatch"
    elif page.received is None:
        mark, says = WAIT, "not_received"
    elif page.received.sha256 == page.sha256 and page.received.size == page.size:
        mark, says = OK, "digest_equal"
    else:
        mark, says = FAIL, "mismatch"
    return Cell(name="integrity", mark=mark, says=says, anchor="integrity")


def _item_place(page: EvidencePage) -> Cell:
    if any(doubt.code == _OFF_SITE and doubt.severity != "info" for doubt in page.doubts):
        mark, says = DOUBT, "off_site"
    elif page.verdict is None:
        mark, says = WAIT, "unchecked"
    elif page.place is None:
        mark, says = NOTE, "no_position"
    else:
        mark, says = OK, "no_doubt"
    return Cell(name="place", mark=mark, says=says, anchor="summary")


def _unproved(checkpoint_size: int) -> str:
    return "not_proved" if checkpoint_size else "not_signed_yet"


def _inspection_time(verdicts: Iterable[str | None]) -> Cell:
    seen = list(verdicts)
    for verdict in ("inconsistent", "explainable", "absent"):
        if verdict in seen:
            return Cell(
                name="time",
                mark=_OF_VERDICT[verdict],
                says=f"some_{verdict}",
                anchor="items",
                numbers={"number": seen.count(verdict)},
            )
    if None in seen:
        numbers = {"number": seen.count(None)}
        return Cell(name="time", mark=WAIT, says="some_unchecked", anchor="items", numbers=numbers)
    if not seen:
        return Cell(name="time", mark=NONE, says="nothing", anchor="items")
    return Cell(name="time", mark=OK, says="consistent", anchor="items")


def _officers(page: InspectionPage) -> Cell:
    valid = sum(officer.valid_at(page.opened_at_ms) for officer in page.officers)
    enough = valid >= 2
    unconfirmed = any(doubt.code == "OFFICER_UNCONFIRMED" for doubt in page.doubts)
    return Cell(
        name="officers",
        mark=FAIL if not enough else DOUBT if unconfirmed else OK,
        says="too_few" if not enough else "unconfirmed" if unconfirmed else "two_valid",
        anchor="doubts" if enough and unconfirmed else "summary",
        numbers={"number": valid},
    )


def _peers(page: InspectionPage) -> Cell:
    """Whether the devices of the inspection bear each other's journals out."""
    codes = {doubt.code for doubt in page.doubts}
    for code, mark, says in (
        ("PEER_HEAD_CONTRADICTS", FAIL, "peers_contradict"),
        ("PEER_LINES_MISSING", FAIL, "peer_lines_missing"),
        ("PEER_HEAD_MISSING", DOUBT, "peers_not_noted"),
    ):
        if code in codes:
            return Cell(name="peers", mark=mark, says=says, anchor="doubts")
    several = page.devices > 1
    return Cell(
        name="peers",
        mark=OK if several else NONE,
        says="peers_agree" if several else "one_device",
        anchor="journal",
    )


def _with(page: InspectionPage, code: str) -> int:
    return sum(
        any(doubt.code == code and doubt.severity != "info" for doubt in item.doubts)
        for item in page.items
    )
