"""What makes evidence unusable, listed before a package leaves (出包前检查).

Nothing here keeps evidence in: whoever exports all the same says why, and reason and list
stand in the ledger's ``export`` event and on the report. What was discarded, erased or not
accepted by a reviewer is not relied on and has no defects.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings import words
from media.findings.model import Finding
from server.models.uploads import ObjectFixity
from server.operations import ledger
from server.operations.cards import in_force
from server.operations.export import writings
from server.operations.export.case import CaseState, read_case
from server.operations.export.confirmations import doubts_about
from server.operations.export.items import ItemState, standing
from server.operations.export.materials import SITE_RECORD, Material, read_materials
from server.operations.export.moment import Moment
from server.operations.export.proofs import pages_of
from server.operations.export.writings import StandingRecord
from sync import catalogue
from sync.evidence import records as package_records

#: How many materials or persons a defect names, and how much of each name.
_NAMED = 5
_NAME_LENGTH = 60
#: Records that the law has signed.
_SIGNED = (SITE_RECORD, "interview_record", "sampling_record", "evidence_form")
#: Findings that leave open when a recording was made.
_TIME_DOUBTS = frozenset(
    ("TIME_AFTER_RECEIPT", "TIME_OUTSIDE_WINDOW", "TIME_INVALID", "CLOCK_DEFAULT", "EDITED_TIME")
)
_GRAVE = ("fail", "warn")
#: The package leaves with a verdict of FAIL: it says so itself, by line.
ANCHOR_UNKNOWN: Final = "anchor_unknown"


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One kind of defect: ``count`` cases of it, the first of them by name."""

    code: str
    count: int
    names: tuple[str, ...]

    def sentence(self, lang: str) -> str:
        """What is wrong, and with what."""
        more = "…" if self.count > len(self.names) else ""
        comma = catalogue.text("gate.comma", lang)
        named = comma.join(self.names) + more
        return catalogue.text(f"gate.{self.code}", lang, count=self.count, names=named)

    def to_snapshot(self) -> dict[str, Any]:
        """What the ``export`` event says of it."""
        return {"code": self.code, "count": self.count, "names": list(self.names)}


def defect_of(snapshot: Mapping[str, Any]) -> Defect:
    """The defect that an ``export`` event names."""
    return Defect(code=snapshot["code"], count=snapshot["count"], names=tuple(snapshot["names"]))


def find_defects(session: Session, inspection_id: str, moment: Moment) -> tuple[Defect, ...]:
    """Everything that makes the evidence of a case unusable, as the ledger knew it then."""
    case = read_case(session, inspection_id, moment)
    records = writings.standing_records(session, case)
    materials = {m.id: m for m in read_materials(session, case, records)}
    relied = [
        (item, materials[item.id])
        for item in case.items
        if not item.discarded
        and item.state != "rejected"
        and item.disposition in (package_records.ENCLOSED, package_records.MISSING)
    ]
    lost = _lost(session, sorted({item.sha256 for item, _ in relied}))
    found = (
        *_of_records(case, records),
        *_of_officers(case, relied),
        *_of_items(case, relied, lost),
        *_of_whole(doubts_about(session, case)),
        *_of_journals(session, case),
    )
    by_code: dict[str, list[str]] = {}
    for code, name in found:
        by_code.setdefault(code, []).append(name)
    return tuple(_defect(code, names) for code, names in by_code.items())


def _defect(code: str, names: Sequence[str]) -> Defect:
    different = list(dict.fromkeys(name[:_NAME_LENGTH] for name in names if name))
    return Defect(code=code, count=len(names), names=tuple(different[:_NAMED]))


Found = Iterator[tuple[str, str]]
Relied = Sequence[tuple[ItemState, Material]]


def _of_records(case: CaseState, records: Sequence[StandingRecord]) -> Found:
    if case.sealed is None:
        yield "not_sealed", case.inspection.title
    if not any(record.template_id == SITE_RECORD for record in records):
        yield "no_site_record", case.inspection.title
    for record in records:
        if record.template_id in _SIGNED:
            yield from (("signature_missing", record.title["zh"]) for _ in _unsigned(record))


def _unsigned(record: StandingRecord) -> Iterator[str]:
    """The places of signatures that a record should have and lacks, one for each."""
    if record.form is None:
        if "party_signature" not in record.merged.values and "pages" not in record.merged.values:
            yield "party_signature"
        return
    for gap in record.gaps:
        field = record.form.field(str(gap.path[0]))
        inner = {one.id: one for one in field.fields} if field is not None else {}
        whole = len(gap.path) == 1 and "signature" in inner
        last = inner.get(str(gap.path[-1]), field)
        if whole or (last is not None and last.type == "signature"):
            yield gap.labels["zh"]


def _of_officers(case: CaseState, relied: Relied) -> Found:
    if len(case.officers) < 2:
        yield "no_second_officer", "、".join(officer.name for officer in case.officers)
    by_id = {officer.id: officer for officer in case.officers}
    when = {officer.id: [case.inspection.opened_at_ms] for officer in case.officers}
    for item, _ in relied:
        when.setdefault(item.text("officer"), []).append(item.line.wall_ms)
    for officer_id, times in when.items():
        officer = by_id.get(officer_id)
        if officer is not None and not all(
            in_force(officer.valid_from, officer.valid_to, at_ms) for at_ms in times
        ):
            yield "certificate_invalid", f"{officer.name} ({officer.certificate_no})"


def _of_items(case: CaseState, relied: Relied, lost: frozenset[str]) -> Found:
    officers = {officer.id for officer in case.officers}
    for item, material in relied:
        name = material.title
        codes = {finding.code for run in standing(item.checks) for finding in run.findings}
        grave = {
            finding.code
            for run in standing(item.checks)
            for finding in run.findings
            if finding.severity in _GRAVE
        }
        if not material.maker_known or item.text("officer") not in officers:
            yield "maker_unclear", name
        if grave & _TIME_DOUBTS or (material.capture_class == "C" and "TIME_ABSENT" in codes):
            yield "time_unclear", name
        if not material.place and material.position is None:
            yield "place_unclear", name
        if not material.fact.strip():
            yield "fact_missing", name
        if _sound(material) and not material.transcript:
            yield "transcript_missing", name
        if item.disposition == package_records.MISSING:
            yield "not_received", name
        if "DIGEST_MISMATCH" in codes or item.sha256 in lost:
            yield "digest_mismatch", name


def _sound(material: Material) -> bool:
    """Whether its sound is relied on: of a film only where its form says so."""
    return material.sort == "audio" or material.sound_relied_on


def _of_whole(doubts: Sequence[Finding]) -> Found:
    for doubt in doubts:
        if doubt.code == "OFFICER_UNCONFIRMED":
            yield "officer_unconfirmed", str(doubt.evidence["expected"].get("officer", ""))
        elif doubt.code == "RECORD_TIMES":
            expected = doubt.evidence["expected"]
            at_ms = expected.get("at_ms")
            shown = words.moment(at_ms) if isinstance(at_ms, int) else ""
            yield "times_differ", f"{expected.get('name', '')} {shown}".strip()


def _of_journals(session: Session, case: CaseState) -> Found:
    """Devices that signed to have seen a ledger that ours is not a continuation of."""
    moment = case.moment
    devices = {device.id: device.name for device in case.devices}
    seen = {anchor for chain in case.chains for anchor in chain.anchors}
    strange = {
        (size, root)
        for size, root in seen
        if size > moment.size or ledger.tree_root(session, moment.generation, size).hex() != root
    }
    for chain in case.chains:
        yield from (
            (ANCHOR_UNKNOWN, devices.get(chain.name.device, chain.name.device))
            for _ in chain.anchors & strange
        )


def _lost(session: Session, digests: Sequence[str]) -> frozenset[str]:
    """Originals that were not whole when the store was last read."""
    return frozenset(
        sha256
        for page in pages_of(digests)
        for sha256 in session.scalars(
            select(ObjectFixity.sha256).where(
                ObjectFixity.sha256.in_(page), ObjectFixity.outcome != "whole"
            )
        )
    )
