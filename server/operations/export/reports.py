"""The pages that people read: the report, and the lists that go with it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from media import findings
from media.findings import model, words
from server.operations.cards import in_force
from server.operations.doubts import VISIT_RULES_VERSION
from server.operations.erased import Mark
from server.operations.export import writings
from server.operations.export.asked import Asked
from server.operations.export.case import CaseState
from server.operations.export.confirmations import Sessions, Unlocked, doubts_about
from server.operations.export.documents import OfficerState
from server.operations.export.items import ItemState, standing
from server.operations.export.lists import list_files
from server.operations.export.materials import read_materials
from server.operations.export.pages import make_environment, moment_text, texts
from server.operations.export.paper import pdfs_of
from server.operations.export.spool import Spool
from server.operations.export.writings import maker_of
from sync.evidence import package
from sync.evidence import records as package_records
from sync.evidence.interval import OutsideBounds
from sync.evidence.package import PackageFile

_SHOWN_KINDS = ("image", "video", "audio")


@dataclass(frozen=True, kw_only=True)
class ShownFinding:
    """One finding by its keys in the catalogue and the values of its sentence."""

    severity: str
    severity_key: str
    title_key: str
    sentence_key: str
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ShownItem:
    """One item as paper shows it; fields ending in ``key`` name texts of the catalogue."""

    title: str
    kind: str
    media_type: str
    fact: str
    maker: str
    method: str
    class_key: str
    claimed: str
    not_before: str
    not_after: str
    #: The same by outside authorities' stamps; empty where they prove nothing.
    outside_before: str
    outside_after: str
    clocks_differ: bool
    lat: str
    lon: str
    accuracy: str
    original_key: str
    size: int
    sha256: str
    disposition_key: str
    file: str
    discard_reason: str
    erased: Mark | None
    outside_seal: bool
    released: bool
    seq: int
    ledger_index: int
    verdict: str
    unlocked: Unlocked
    findings: tuple[ShownFinding, ...]
    words: tuple[Any, ...]


def report_files(
    session: Session, case: CaseState, asked: Asked, spool: Spool
) -> Iterator[PackageFile]:
    """The report and the lists, Chinese before English: self-contained HTML, and PDF beside it."""
    for page in _pages(session, case, asked, spool):
        yield page
        yield from pdfs_of(page, spool, at_ms=case.moment.exported_at_ms)


def _pages(session: Session, case: CaseState, asked: Asked, spool: Spool) -> Iterator[PackageFile]:
    sessions = Sessions(case)
    records = writings.standing_records(session, case)
    environment = make_environment()
    items = [_shown_item(case, item, sessions) for item in case.items]
    values = {
        "case": case,
        "asked": asked,
        "items": items,
        "records": [writings.shown_record(case, record) for record in records],
        "addenda": writings.shown_addenda(session, case),
        "counts": _counts(case),
        "doubts": [_shown_finding(doubt) for doubt in doubts_about(session, case)],
        "visit_rules": VISIT_RULES_VERSION,
        "certified": lambda officer: _certified(officer, case.inspection.opened_at_ms),
    }
    pieces = environment.get_template("report.html.j2").generate(
        title=texts("report.title"), **values
    )
    yield spool.write(package.REPORT, (piece.encode("utf-8") for piece in pieces))
    materials = read_materials(session, case, records)
    yield from list_files(case, materials, asked.route, environment, spool)


def _counts(case: CaseState) -> dict[str, int]:
    dispositions = [item.disposition for item in case.items]
    return {
        "total": len(dispositions),
        **{name: dispositions.count(name) for name in package_records.DISPOSITIONS},
    }


def _certified(officer: OfficerState, at_ms: int) -> bool:
    """Whether the certificate was in force on the day the inspection began."""
    return in_force(officer.valid_from, officer.valid_to, at_ms)


def _shown_item(case: CaseState, item: ItemState, sessions: Sessions) -> ShownItem:
    kind = item.media_type.partition("/")[0]
    lat, lon, accuracy = (item.position(name) for name in ("lat", "lon", "acc"))
    runs = standing(item.checks)
    found = {
        (finding.code, json.dumps(finding.evidence, sort_keys=True)): finding
        for run in runs
        for finding in run.findings
    }
    interval = item.interval
    before = interval.not_before_ms
    outside = interval.outside or OutsideBounds()
    return ShownItem(
        title=item.text("title") or item.text("name") or item.id,
        kind=f"report.kind.{kind if kind in _SHOWN_KINDS else 'other'}",
        media_type=item.media_type,
        fact=item.text("fact_to_prove"),
        maker=maker_of(case, item.text("officer")),
        unlocked=sessions.unlocked(item.line, item.text("officer")),
        method=item.text("method"),
        class_key=f"report.class.{item.act['class']}",
        claimed=moment_text(item.line.wall_ms),
        not_before=moment_text(before) if before is not None else "",
        not_after=moment_text(interval.not_after_ms),
        outside_before=_moment_or_nothing(outside.not_before_ms),
        outside_after=_moment_or_nothing(outside.not_after_ms),
        clocks_differ=interval.clocks_differ,
        lat=words.degrees(lat) if lat is not None else "",
        lon=words.degrees(lon) if lon is not None else "",
        accuracy=str(-(-accuracy // 100)) if accuracy is not None else "",
        original_key="report.original_imported"
        if item.act["class"] == "C"
        else "report.original_value",
        size=item.act["size"],
        sha256=item.sha256,
        disposition_key=f"report.disposition.{'redacted' if item.copy else item.disposition}",
        file=item.copy or item.file,
        discard_reason=item.discard_reason,
        erased=item.erased,
        outside_seal=item.outside_seal,
        released=item.released,
        seq=item.line.seq,
        ledger_index=item.line.ledger_index,
        verdict=f"findings.verdict.{findings.worst(run.verdict for run in runs)}" if runs else "",
        findings=tuple(_shown_finding(finding) for finding in found.values()),
        words=item.words,
    )


def _moment_or_nothing(ms: int | None) -> str:
    return moment_text(ms) if ms is not None else ""


def _shown_finding(finding: model.Finding) -> ShownFinding:
    return ShownFinding(
        severity=finding.severity,
        severity_key=f"findings.severity.{finding.severity}",
        title_key=words.title_key(finding.code),
        sentence_key=words.sentence_key(finding),
        values=words.placeholders(finding),
    )
