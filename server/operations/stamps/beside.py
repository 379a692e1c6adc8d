"""The stamps of a package's ZIP, under the names by which they lie beside it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.models.stamps import TimeStamp


def sidecars(session: Session, package_id: str, name: str) -> dict[str, bytes]:
    """Every stamp of a package by its file's name: ``X.zip.tsr``, then ``X.zip.2.tsr`` and so on.

    Oldest first; a renewal comes after what it renews.
    """
    answers = session.scalars(
        select(TimeStamp.answer)
        .where(TimeStamp.package_id == package_id)
        .order_by(TimeStamp.generation, TimeStamp.ledger_index)
    )
    return {
        f"{name}.tsr" if number == 1 else f"{name}.{number}.tsr": answer
        for number, answer in enumerate(answers, start=1)
    }
