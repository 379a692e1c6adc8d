"""Pulling documents: a first pull, one change among many, repair of a silent divergence.

The documents are made through the ledger, as an administrator's are; then one
device pulls them over HTTP from the real server, compressed as it asks for.
"""

import argparse
import gzip
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
import zstandard
from sqlalchemy import insert
from sqlalchemy.orm import Session

from bench.machine import machine
from bench.webserver import Web, install, serving
from server.db import db, transaction
from server.models.base import position_of
from server.models.inspections import Document
from server.operations import feed, ledger
from server.operations.feed import organization_scope
from sync import divergence
from sync.evidence import canonical
from tests.support.bureau import environment
from tests.support.simdevice import SimDevice, new_id
from tests.support.world import World

_BATCH = 2_000
#: More documents than this are counted, not kept, and no divergence is looked for.
_KEPT = 100_000
_CHANGES = 50
#: What dossiers are made of: set phrases with numbers between them.
_PHRASES = (
    "现场检查时生产设施正常运行",
    "在线监测设备已联网并正常上传数据",
    "危险废物贮存间标识不清",
    "台账记录完整",
    "排放口设置规范",
    "污染治理设施运行正常",
    "雨污分流措施落实到位",
    "要求企业限期整改并提交报告",
    "未发现违法排污行为",
    "厂界噪声符合标准",
    "采样过程由当事人全程见证",
    "自行监测方案已备案",
    "排污许可证在有效期内",
    "应急预案已按期修订",
    "活性炭更换记录缺失",
    "原料堆场未完全覆盖",
    "废水总排口流量计读数为",
    "化学需氧量浓度为毫克每升",
    "氨氮浓度为毫克每升",
    "去年同期检查次数为",
)


def run(arguments: list[str]) -> dict[str, object]:
    """Pull ``--documents`` documents, then change single ones, then lose one silently."""
    parser = argparse.ArgumentParser(prog="scripts/bench pull")
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--database", help="PostgreSQL URL; SQLite where none is given")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        env = environment(Path(folder))
        if options.database:
            env["LIUHEN_DATABASE_URL"] = options.database
        world = install(env)
        chance = random.Random(1)
        ids = _publish(world, options.documents, chance)
        device = world.enrol()
        with serving(env) as web:
            # Whatever the process loads at its first answers is not the feed's.
            Reader(web, device).ask("GET", "/feed", params={})
            reader = Reader(web, device, keep=options.documents <= _KEPT)
            figures = {
                "first_pull": _first_pull(web, reader),
                "one_change": _changes(world, web, reader, ids, chance),
                "empty_poll": _empty(web, reader),
                "many_devices": _devices(world, web, options.devices),
            }
            if reader.keep:
                figures["divergence"] = _divergence(web, reader, ids, chance)
    return {
        "bench": "pull",
        "documents": options.documents,
        "database": "postgresql" if options.database else "sqlite",
        **figures,
        "machine": machine(),
    }


class Reader:
    """A device that keeps what the feed sends and counts the bytes of each answer."""

    def __init__(self, web: Web, device: SimDevice, *, keep: bool = False) -> None:
        self._web = web
        self.keep = keep
        self._session = requests.Session()
        self._session.headers.update(device.headers)
        self._session.headers["Accept-Encoding"] = "zstd, gzip"
        self.cursor = ""
        self.copy: dict[tuple[str, str], dict[str, Any]] = {}
        self.wire_bytes = 0
        self.answers = 0

    def ask(self, method: str, path: str, **what: Any) -> Any:
        """One exchange; head and body of the answer count as they came over the wire."""
        with self._session.request(
            method, f"{self._web.url}/api/v1{path}", timeout=120, stream=True, **what
        ) as answer:
            head = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
            raw = answer.raw.read(decode_content=False)
            self.wire_bytes += head + len(raw)
            self.answers += 1
            answer.raise_for_status()
            return json.loads(_expanded(raw, answer.headers.get("Content-Encoding", "")))

    def poll(self) -> int:
        """Pull until nothing more comes; how many documents did."""
        came = 0
        while True:
            page = self.ask("GET", "/feed", params={"cursor": self.cursor})
            for document in page["documents"] if self.keep else ():
                place = document["kind"], document["id"]
                if document["op"] == "put":
                    self.copy[place] = document["body"]
                else:
                    self.copy.pop(place, None)
            came += len(page["documents"])
            self.cursor = page["cursor"]
            if not page["more"]:
                return came

    def started(self) -> "Reader":
        """The same device, counting from zero."""
        self.wire_bytes = self.answers = 0
        return self


def _expanded(raw: bytes, encoding: str) -> bytes:
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    if encoding == "gzip":
        return gzip.decompress(raw)
    return raw


def _publish(world: World, count: int, chance: random.Random) -> list[str]:
    """Documents as :func:`feed.put_document` makes them, each behind its own leaf, many at once."""
    ids = [new_id() for _ in range(count)]
    for start in range(0, count, _BATCH):
        bodies = {
            identifier: _body(identifier, chance) for identifier in ids[start : start + _BATCH]
        }
        with world.app.app_context(), transaction() as session:
            _put_all(session, organization_scope(world.organization), bodies, world.now_ms)
        with world.app.app_context():
            db.session.remove()
    return ids


def _put_all(session: Session, scope: str, bodies: dict[str, dict[str, Any]], now_ms: int) -> None:
    events = [
        ledger.Event(
            kind="document",
            actor={"server": "feed"},
            subject={"scope": scope, "kind": "entity", "id": identifier},
            snapshot={"body": body},
        )
        for identifier, body in bodies.items()
    ]
    first = ledger.append_events(session, events, now_ms=now_ms)
    generation = ledger.current_generation(session).number
    rows = []
    for index, (identifier, body) in enumerate(bodies.items(), start=first):
        text = canonical.dumps(body)
        rows.append(
            {
                "scope": scope,
                "kind": "entity",
                "id": identifier,
                "op": "put",
                "body": text.decode(),
                "digest": divergence.document_digest(text),
                "position": position_of(generation, index),
                "changed_at_ms": now_ms,
            }
        )
    session.execute(insert(Document), rows)


def _body(identifier: str, chance: random.Random) -> dict[str, Any]:
    """About 1 KB as JSON in UTF-8, of which a third are names, ids and numbers."""
    return {
        "id": identifier,
        "name": f"示例企业{chance.randrange(10**6)}",
        "uscc": "91" + "".join(chance.choices("0123456789ABCDEFGH", k=16)),
        "address": f"示范区演示路{chance.randrange(10**4)}号",
        "lat_e7": chance.randrange(225_000_000, 226_000_000),
        "lon_e7": chance.randrange(1_140_000_000, 1_141_000_000),
        "radius_cm": 30_000,
        "notes": "；".join(
            f"{phrase}{chance.randrange(1000)}" for phrase in chance.choices(_PHRASES, k=20)
        ),
    }


def _first_pull(web: Web, reader: Reader) -> dict[str, Any]:
    memory, cpu, began = web.memory_kib(), web.cpu(), time.monotonic()
    came = reader.poll()
    return {
        "documents": came,
        "cpu_s": round(web.cpu() - cpu, 2),
        "seconds": round(time.monotonic() - began, 2),
        "wire_bytes": reader.wire_bytes,
        "body_bytes": sum(len(canonical.dumps(body)) for body in reader.copy.values()),
        "answers": reader.answers,
        "memory_growth_mib": round((web.memory_kib() - memory) / 1024, 1),
    }


def _changes(
    world: World, web: Web, reader: Reader, ids: list[str], chance: random.Random
) -> dict[str, Any]:
    reader.started()
    spent = 0.0
    for identifier in chance.choices(ids, k=_CHANGES):
        with world.app.app_context(), transaction() as session:
            feed.put_document(
                session,
                scope=organization_scope(world.organization),
                kind="entity",
                identifier=identifier,
                body=_body(identifier, chance),
                now_ms=world.now_ms,
            )
        cpu = web.cpu()
        if reader.poll() != 1:
            raise SystemExit("one change was not one document")
        spent += web.cpu() - cpu
    return {
        "cpu_ms": round(spent * 1000 / _CHANGES, 2),
        "wire_bytes": round(reader.wire_bytes / _CHANGES),
    }


def _empty(web: Web, reader: Reader) -> dict[str, Any]:
    reader.started()
    cpu = web.cpu()
    for _ in range(_CHANGES):
        reader.poll()
    return {
        "cpu_ms": round((web.cpu() - cpu) * 1000 / _CHANGES, 2),
        "wire_bytes": round(reader.wire_bytes / _CHANGES),
    }


def _divergence(web: Web, reader: Reader, ids: list[str], chance: random.Random) -> dict[str, Any]:
    """One document becomes another without a word; the reader finds it and asks for it."""
    lost = "entity", chance.choice(ids)
    whole = reader.copy[lost]
    reader.copy[lost] = {**whole, "name": "别的"}
    reader.started()
    cpu = web.cpu()
    told = reader.ask("GET", "/digest", params={"cursor": reader.cursor})
    bits, fold = told["bits"], divergence.Fold()
    marks: dict[int, list[str]] = {}
    for (kind, identifier), body in reader.copy.items():
        digest = divergence.document_digest(canonical.dumps(body))
        place = divergence.place_of(kind, identifier)
        mark = divergence.fingerprint(kind, identifier, digest)
        fold.add(place, mark)
        marks.setdefault(divergence.bucket_of(place, bits), []).append(divergence.mark_text(mark))
    apart = divergence.differing(fold.sums(bits), divergence.decode_sums(told["sums"], bits))
    asked = {"bits": bits, "buckets": {str(number): marks[number] for number in apart}}
    sent = len(json.dumps(asked))
    repaired = reader.ask("POST", "/digest/documents", json=asked)
    for document in repaired["documents"]:
        reader.copy[document["kind"], document["id"]] = document["body"]
    if reader.copy[lost] != whole:
        raise SystemExit("the divergence was not repaired")
    return {
        "round_trips": reader.answers,
        "wire_bytes": reader.wire_bytes + sent,
        "cpu_ms": round((web.cpu() - cpu) * 1000),
    }


def _devices(world: World, web: Web, count: int) -> dict[str, Any]:
    """What the server's memory does while ``count`` further devices make their first contact."""
    memory = []
    for number in range(count):
        device = world.enrol()
        reader = Reader(web, device)
        reader.ask("GET", "/feed", params={"limit": 1})
        if number in (count // 2, count - 1):
            memory.append(web.memory_kib())
    return {
        "devices": count,
        "memory_growth_of_the_second_half_mib": round((memory[-1] - memory[0]) / 1024, 1),
    }
