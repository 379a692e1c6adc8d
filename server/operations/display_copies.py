"""Copies for screen and paper, with a band that says what they show; originals have none."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from media.findings import words
from media.second import Picture, SecondFailed, SecondReader
from server.failures import Conflict
from server.models.inspections import EvidenceItem, InspectionOfficer
from server.operations.cards import OfficerCard, officer_cards
from server.operations.evidence_view import EvidencePage, stored_media
from server.operations.export.paper import font_path
from server.operations.redactions import picture_of
from server.services import Services
from sync import catalogue, shortcode


def read_source(session: Session, item: EvidenceItem) -> str:
    """The key of the bytes that a display copy is drawn from.

    Raises:
        Conflict: if the item is no picture that is shown, or not here.
    """
    if stored_media(session, item) is None:
        raise Conflict("no picture")
    key, _ = picture_of(session, item)
    return key


def officers_of(session: Session, item: EvidenceItem) -> list[OfficerCard]:
    """Whoever attended the inspection, the one who took the picture first."""
    attended = session.scalars(
        select(InspectionOfficer.officer_id)
        .where(InspectionOfficer.inspection_id == item.inspection_id)
        .order_by(InspectionOfficer.officer_id)
    )
    named = list(dict.fromkeys((item.officer_id, *attended)))
    cards = officer_cards(session, named)
    return [cards[officer] for officer in named if officer in cards]


def band_lines(page: EvidencePage, officers: list[OfficerCard], lang: str) -> list[str]:
    """What the band says: that it is a copy, and time, place, officers and short code."""
    interval, chain, place = page.line.interval, page.line.chain, page.place

    def text(name: str, **values: object) -> str:
        return catalogue.text(f"console.band.{name}", lang, **values)

    before = interval.not_before_ms
    names = "、".join(f"{one.name}（{one.certificate_no}）" for one in officers)
    return [
        text("copy", title=page.title or page.name or page.id),
        text(
            "time",
            before=words.moment(before) if before is not None else text("unproved"),
            after=words.moment(interval.not_after_ms),
        ),
        text(
            "place",
            lat=words.degrees(place.lat_e7),
            lon=words.degrees(place.lon_e7),
        )
        if place is not None
        else text("no_place"),
        text("officers", names=names),
        text("code", code=shortcode.spell(chain.seq, chain.digest), sha256=page.sha256),
    ]


def draw(services: Services, key: str, lines: list[str]) -> Picture:
    """The copy itself, made anew each time; the bytes of the original stay as they are.

    Raises:
        Conflict: if no picture can be made from the bytes.
        MediaError: if the store does not give them.
    """
    content = b"".join(services.store.stream(key))
    with SecondReader() as second:
        drawn = second.banded(content, lines, font_path())
    if isinstance(drawn, SecondFailed):
        raise Conflict(f"no picture: {drawn.reason}")
    return drawn
