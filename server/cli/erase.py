"""``erase``: what may be erased by law, and how far orders have come; nothing is erased by it."""

import json
import os
from collections.abc import Iterator
from typing import Any

import click
from sqlalchemy import select

from server import clock
from server.app import create_app
from server.db import reading
from server.failures import NotFound
from server.models.erasure import ErasureObject, ErasureOrder, LegalHold
from server.models.inspections import Inspection
from server.models.people import Organization
from server.operations.erasure import Terms, expired_units
from server.settings import Settings
from sync import catalogue


@click.group()
def erase() -> None:
    """依法删除：到期清单与删除单 / Lawful erasure: what is due, and orders. Erases nothing."""


@erase.command("list")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def list_all(*, as_json: bool) -> None:
    """到期的检查和录音录像、删除单、暂停销毁 / What is due, orders, and legal holds."""
    settings = Settings.from_env(os.environ)
    with create_app(settings).app_context(), reading() as session:
        terms, found = Terms.of(settings), []
        for organization in session.scalars(select(Organization.id).order_by(Organization.id)):
            for unit in expired_units(session, organization, terms, now_ms=clock.now_ms()):
                found.append({"kind": "expired", **vars(unit)})
        for order in session.scalars(
            select(ErasureOrder).order_by(ErasureOrder.requested_at_ms, ErasureOrder.id)
        ):
            found.append({"kind": "order", **_order(order)})
        for hold, title in session.execute(
            select(LegalHold, Inspection.title)
            .join(Inspection, Inspection.id == LegalHold.inspection_id)
            .where(LegalHold.lifted_by.is_(None))
            .order_by(LegalHold.set_at_ms, LegalHold.id)
        ):
            found.append(
                {
                    "kind": "hold",
                    "id": hold.id,
                    "inspection_id": hold.inspection_id,
                    "title": title,
                    "reason": hold.reason,
                }
            )
    _tell(found, as_json=as_json)


@erase.command()
@click.argument("order_id", metavar="ORDER")
@click.option("--json", "as_json", is_flag=True, help="输出 JSON / print JSON")
def show(order_id: str, *, as_json: bool) -> None:
    """一份删除单及存储中尚未删除的对象 / One order, and what the store still has of it."""
    with create_app(Settings.from_env(os.environ)).app_context(), reading() as session:
        order = session.get(ErasureOrder, order_id)
        if order is None:
            raise NotFound("erasure", order_id)
        left = session.scalars(
            select(ErasureObject)
            .where(ErasureObject.order_id == order.id, ErasureObject.state == "pending")
            .order_by(ErasureObject.key)
        )
        found = [
            {"kind": "order", **_order(order)},
            *({"kind": "object", "key": row.key, "code": row.code or "-"} for row in left),
        ]
    _tell(found, as_json=as_json)


def _order(order: ErasureOrder) -> dict[str, Any]:
    listed = json.loads(order.listed)
    return {
        "id": order.id,
        "unit": order.unit,
        "inspection_id": order.inspection_id,
        "state": order.state,
        "law": order.law,
        "basis": order.basis,
        "items": len(listed["items"]),
        "bytes": listed["bytes"],
        "waits": order.waits,
    }


def _tell(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for line in _sentences(found):
        click.echo(line)


def _sentences(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        yield from (catalogue.text("erasure.nothing", lang) for lang in catalogue.LANGUAGES)
    for one in found:
        for lang in catalogue.LANGUAGES:
            words: dict[str, str] = {
                name: catalogue.text(f"erasure.{name}.{one[name]}", lang)
                for name in ("unit", "state")
                if name in one
            }
            if "held" in one:
                words["held"] = catalogue.text("erasure.held", lang) if one["held"] else ""
            yield catalogue.text(f"erasure.{one['kind']}", lang, **{**one, **words})
