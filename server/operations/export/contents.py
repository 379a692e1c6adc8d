"""The files of a package, made from the state of the case (docs/evidence.md §8)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import Session

from media.findings import Context, context_from_json
from media.findings import to_json as findings_json
from media.findings.model import Neighbour, SameBytes, SameScene
from media.store import ObjectMissing, Store
from server.operations import generations
from server.operations.erased import Mark
from server.operations.export import chains, proofs, timestamps
from server.operations.export.case import CaseState
from server.operations.export.errors import SourceDamaged, SourceMissing
from server.operations.export.items import Check, ItemState
from server.operations.export.moment import Moment
from server.operations.export.piping import ahead
from server.operations.export.proofs import StoredEvent
from server.operations.export.spool import Spool
from server.operations.export.witnessed import read_witnessed, witness_files
from sync.evidence import canonical, package, records
from sync.evidence.package import PackageFile
from sync.evidence.policy import Policy
from sync.evidence.succession import succession_line
from sync.evidence.verifier_copies import REDACTED

_NDJSON_END = b"\n"
#: From so many bytes on an original is read in a thread of its own while it is hashed.
_WORTH_A_THREAD = 4 << 20
_NOTHING: Mapping[int, str] = MappingProxyType({})
#: Why an item's bytes are not in the package.
_REASONS = {
    records.ENCLOSED: "",
    records.WITHHELD: "discarded",
    records.MISSING: "not_received",
    records.ERASED: "lawfully_erased",
}


def evidence_files(
    session: Session, case: CaseState, spool: Spool, store: Store
) -> Iterator[PackageFile]:
    """Everything under ``data/``; originals are read from the store only as the ZIP is written."""
    shown, withheld = _sort_events(session, case)
    yield spool.write(package.INDEX, [case_index(case, withheld).to_bytes()])
    for chain in case.chains:
        lines = chains.package_lines(session, case.moment, chain)
        yield spool.write(package.journal_path(chain.name), _ended(lines))
    yield spool.write(package.CUSTODY, _ended(_custody(session, case.moment, shown)))
    yield spool.write(package.FINDINGS, [_findings(case)])
    yield from _facts(case, spool)
    yield from _copies(case, spool, store)
    enclosed = {item.file: item for item in case.items if item.file}
    for item in enclosed.values():
        yield _original(item, store)


def proof_files(
    session: Session,
    case: CaseState,
    spool: Spool,
    *,
    ledger_key: str,
    receipt_key: str,
    witnesses: Policy | None = None,
    countersign: Callable[[str], str] = str,
) -> Iterator[PackageFile]:
    """Everything under ``proofs/`` but the statement over the whole package.

    ``countersign`` puts the ledger key's signature under a checkpoint that an earlier one signed.
    """
    moment = case.moment
    keys = records.Keys(
        devices=tuple(
            records.DeviceKeyRecord(
                device=device.id,
                key_id=device.key_id,
                spki=device.spki,
                enrolled_index=device.enrolled_index,
            )
            for device in case.devices
        ),
        ledger=ledger_key,
        receipt=receipt_key,
    )
    yield spool.write(package.KEYS, [keys.to_bytes()])
    if endorsements := generations.endorsements(session):
        lines = (succession_line(note) for note in endorsements)
        yield spool.write(package.SUCCESSION, _ended(lines))
    yield spool.write(package.CHECKPOINT, [moment.checkpoint.encode()])
    yield spool.write(
        package.INCLUSION,
        _ended(
            records.InclusionRecord(leaf.index, leaf.entry, leaf.path).to_bytes()
            for leaf in proofs.prove_leaves(session, moment, case.events)
        ),
    )
    witnessed = read_witnessed(session, moment, witnesses)
    if witnessed is not None:
        witnessed = replace(witnessed, note=countersign(witnessed.note))
    checkpoints = [stamp.event.checkpoint for stamp in case.time_stamps]
    anchors = sorted(
        {anchor for chain in case.chains for anchor in chain.anchors}
        | {(size, root) for _, size, root in filter(None, checkpoints)}
        | ({(witnessed.size, witnessed.root)} if witnessed else set())
    )
    # A device may sign that it saw a larger ledger than there is: the verifier names the line.
    anchors = [(size, root) for size, root in anchors if size <= moment.size]
    paths = dict(proofs.prove_sizes(session, moment, (size for size, _ in anchors)))
    yield spool.write(
        package.CONSISTENCY,
        _ended(
            records.ConsistencyRecord(size, bytes.fromhex(root), tuple(paths[size])).to_bytes()
            for size, root in anchors
        ),
    )
    notes = [note for chain in case.chains for note in chain.receipts]
    yield spool.write(package.RECEIPTS, _ended(records.receipt_record(note) for note in notes))
    yield from timestamps.stamp_files(case.time_stamps, spool)
    yield from witness_files(witnessed, witnesses, spool)


def case_index(case: CaseState, withheld: Mapping[int, str] = _NOTHING) -> records.CaseIndex:
    """The table of contents; ``withheld`` says why the text of an event is not shown."""
    moment, inspection = case.moment, case.inspection
    about: dict[str, Any] = {
        "id": inspection.id,
        "title": inspection.title,
        "purpose": inspection.purpose,
        "opened_at_ms": inspection.opened_at_ms,
        "state": "erased" if case.erased else "sealed" if case.sealed is not None else "open",
        "organization": dict(case.organization),
        "quarantine": case.quarantine,
        "withheld_events": [
            {"index": index, "reason": why} for index, why in sorted(withheld.items())
        ],
    }
    if case.erased is not None:
        about["erased"] = _basis(case.erased)
    if case.sealed is not None:
        about["sealed_at_ms"] = case.sealed.wall_ms
    if case.task is not None:
        about["task"] = dict(case.task)
    if case.entity is not None:
        about["entity"] = dict(case.entity)
    return records.CaseIndex(
        inspection=about,
        exported_at_ms=moment.exported_at_ms,
        origin=moment.origin,
        generation=moment.generation,
        ledger_size=moment.size,
        chains=tuple(
            records.ChainHead(
                chain=chain.name,
                next_seq=chain.lines[-1].seq + 1,
                head=chain.head,
            )
            for chain in case.chains
        ),
        items=tuple(_index_item(item) for item in case.items),
        officers=tuple(
            records.IndexOfficer(
                officer=officer.id,
                person=officer.person_id,
                name=officer.name,
                certificate_no=officer.certificate_no,
            )
            for officer in case.officers
        ),
        devices=tuple(
            {
                "device": device.id,
                "kind": device.kind,
                "serial": device.serial,
                "name": device.name,
                "key_id": device.key_id,
            }
            for device in case.devices
        ),
        announced=tuple(sorted({item.sha256 for item in case.items})),
    )


def _index_item(item: ItemState) -> records.IndexItem:
    return records.IndexItem(
        item=item.id,
        sha256=item.sha256,
        size=item.act["size"],
        media_type=item.media_type,
        capture_class=item.text("class"),
        officer=item.text("officer"),
        state=item.state,
        disposition=item.disposition,
        line=_place(item.line),
        file=item.file,
        reason=REDACTED if item.copy else _REASONS[item.disposition],
        discarded=_place(item.discard) if item.discard is not None else None,
        interval=item.interval,
        about=_about(item),
    )


def _place(line: chains.Placed) -> records.LinePlace:
    return records.LinePlace(line.chain, line.seq)


def _basis(mark: Mark) -> dict[str, Any]:
    return {
        "order": mark.order_id,
        "law": mark.law,
        "basis": mark.basis,
        "erased_at_ms": mark.erased_at_ms,
    }


def _about(item: ItemState) -> dict[str, Any]:
    about: dict[str, Any] = {
        "captured_at_ms": item.line.wall_ms,
        "tz_min": item.line.tz_min,
        "received_at_ms": item.line.received_at_ms,
        "ingest_index": item.line.ledger_index,
        "outside_seal": item.outside_seal,
        "released": item.released,
    }
    for name in ("name", "title", "fact_to_prove", "method"):
        about[name] = item.text(name)
    for name, part in (("lat_e7", "lat"), ("lon_e7", "lon"), ("accuracy_cm", "acc")):
        value = item.position(part)
        if value is not None:
            about[name] = value
    if item.erased is not None:
        about["erased"] = _basis(item.erased)
    if item.discard is not None:
        about["discard_reason"] = item.discard_reason
    if item.words:
        about["judgements"] = [
            {
                "person": word.person_id,
                "name": word.name,
                "verdict": word.verdict,
                "reason": word.reason,
                "judged_at_ms": word.judged_at_ms,
                "ledger_index": word.ledger_index,
            }
            for word in item.words
        ]
    return about


def _findings(case: CaseState) -> bytes:
    """``data/findings.json``: every run; texts are those whose digests are in the ledger."""
    items = [
        {
            "item": item.id,
            "sha256": item.sha256,
            "checks": [
                {
                    "rule_version": check.rule_version,
                    "verdict": check.verdict,
                    "checked_at_ms": check.checked_at_ms,
                    "ledger_index": check.ledger_index,
                    "claims": check.claims,
                    "findings": findings_json(check.findings),
                    **_context(check, case),
                }
                for check in item.checks
            ],
        }
        for item in case.items
    ]
    return canonical.dumps({"v": 1, "items": items})


def _context(check: Check, case: CaseState) -> dict[str, str]:
    """What the claims were compared with, so that anybody can repeat the run.

    Not where it tells of items of other cases, nor in a redacted package: then the
    run cannot be repeated from the package, and the verifier says so.
    """
    if case.moment.redacted or not check.context:
        return {}
    context = context_from_json(check.context)
    named = {other.item for others in _others(context) for other in others}
    return {"context": check.context} if named <= {item.id for item in case.items} else {}


def _others(context: Context) -> tuple[Sequence[Neighbour | SameBytes | SameScene], ...]:
    return context.neighbours, context.reuse, context.scenes


def _facts(case: CaseState, spool: Spool) -> Iterator[PackageFile]:
    """What each reader version read from each file, as the text that the ledger digested."""
    written: set[str] = set()
    for item in case.items:
        if not item.facts or item.sha256 in written:
            continue
        written.add(item.sha256)
        readings = [
            {
                "reader_version": facts.reader_version,
                "facts": facts.facts,
                "second": facts.second,
                "read_at_ms": facts.read_at_ms,
                "ledger_index": facts.ledger_index,
            }
            for facts in item.facts
        ]
        body = canonical.dumps({"v": 1, "sha256": item.sha256, "readings": readings})
        yield spool.write(package.facts_path(item.sha256), [body])


def _copies(case: CaseState, spool: Spool, store: Store) -> Iterator[PackageFile]:
    """The redacted copies of a redacted package, and what was done to which original and why."""
    written: dict[str, dict[str, Any]] = {}
    for item in case.items:
        made = item.redaction
        if made is None or not item.copy:
            continue
        written[item.id] = {
            "item": item.id,
            "source": item.sha256,
            "file": item.copy,
            "sha256": made.sha256,
            "regions": json.loads(made.regions),
            "reason": made.reason,
            "made_by": made.made_by,
            "made_with": made.made_with,
            "recipe": made.recipe,
            "made_at_ms": made.made_at_ms,
            "ledger_index": made.ledger_index,
        }
    copies = {item.copy: item.redaction for item in case.items if item.copy and item.redaction}
    for path, made in copies.items():
        yield spool.write(path, store.stream(made.key))
    if case.moment.redacted:
        body = canonical.dumps({"v": 1, "derivations": list(written.values())})
        yield spool.write(package.DERIVATIONS, [body])


def _original(item: ItemState, store: Store) -> PackageFile:
    source, sha256, item_id = item.source, item.sha256, item.id
    if source is None:
        raise SourceMissing(item_id, sha256)
    key, size = source.key, source.size

    def pieces() -> Iterator[bytes]:
        digest, stream = hashlib.sha256(), store.stream(key)
        try:
            for piece in stream if size < _WORTH_A_THREAD else ahead(stream):
                digest.update(piece)
                yield piece
        except ObjectMissing as error:
            raise SourceMissing(item_id, sha256) from error
        # Before the last byte of the entry is accounted for: a package that holds
        # other bytes than were taken in must never come into being.
        if digest.hexdigest() != sha256:
            raise SourceDamaged(item_id, sha256, digest.hexdigest())

    return PackageFile(
        path=item.file,
        sha256=sha256,
        size=source.size,
        crc32=source.crc32,
        chunks=pieces,
    )


def _sort_events(session: Session, case: CaseState) -> tuple[set[int], dict[int, str]]:
    """The events that the package shows, and why it only proves that the others exist.

    A page of the console may show several cases at once; its ``view`` event
    names them all, and what was searched for.
    """
    items = {item.id for item in case.items}
    shown: set[int] = set()
    # One that is gone without its lawful basis is said to be lost: the audit names it, too.
    lawful = proofs.erased_events(session, case.moment)
    withheld = {index: "erased" if index in lawful else "lost" for index in case.events}
    for event in proofs.read_events(session, case.moment, case.events):
        if event.kind == "view" and not _views_only(event, case.inspection.id, items):
            withheld[event.index] = "other_cases"
        else:
            del withheld[event.index]
            shown.add(event.index)
    return shown, withheld


def _views_only(event: StoredEvent, inspection_id: str, items: set[str]) -> bool:
    body: Mapping[str, Any] = canonical.loads(event.event)
    subject = body["subject"]
    return (
        set(subject["inspections"]) <= {inspection_id}
        and set(subject["items"]) <= items
        and "query" not in body["snapshot"]
    )


def _custody(session: Session, moment: Moment, shown: Iterable[int]) -> Iterator[bytes]:
    for event in proofs.read_events(session, moment, shown):
        yield records.CustodyEvent(
            moment.generation, event.index, event.salt, event.event
        ).to_bytes()


def _ended(lines: Iterable[bytes]) -> Iterator[bytes]:
    for line in lines:
        yield line + _NDJSON_END
