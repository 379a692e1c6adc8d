"""Which items are to be checked, and when one that cannot be read is tried again."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import ColumnElement, UnaryExpression, exists, select
from sqlalchemy.orm import Session

from media.facts import READER_VERSION
from media.findings import RULE_VERSION, Context
from media.second import SecondReader
from media.store import StoreUnavailable
from server.db import reading, transaction
from server.models.inspections import Derivative, EvidenceItem, ItemCheck, MediaFacts
from server.models.uploads import MediaObject
from server.operations import ledger
from server.operations.erased import erase_too, is_erased, is_here
from server.operations.holding import held
from server.operations.media_checks.examining import Read, compare, examine, work_on
from server.operations.media_checks.failing import (
    TRIES,
    OwnFault,
    Part,
    our_own,
    uncompared,
    unread,
)
from server.operations.media_checks.keeping import keep_check, keep_read, store_pictures
from server.operations.media_checks.partners import wake_partners
from server.operations.media_context import gather, gather_own
from server.services import Services

_log = logging.getLogger(__name__)

_BATCH = 20
#: An item that cannot be read is tried again after a minute, then ever more seldom.
_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 86_400_000
#: After so many refusals in a row the store is away: the round ends, the next is soon.
_STORE_IS_AWAY = 3


@dataclass(frozen=True)
class _Later:
    at_ms: int
    wait_ms: int


@dataclass
class Rounds:
    """What one process remembers between rounds; nothing of it is needed for being right."""

    later: dict[str, _Later] = field(default_factory=dict)
    faults: Counter[tuple[str, Part]] = field(default_factory=Counter)
    #: Everything has been seen by this program's reader and rules; new items are marked.
    history_done: bool = False

    def postpone(self, item_id: str, now_ms: int) -> None:
        before = self.later.get(item_id)
        wait_ms = min(2 * before.wait_ms, _LONGEST_WAIT_MS) if before else _FIRST_WAIT_MS
        self.later[item_id] = _Later(now_ms + wait_ms, wait_ms)

    def postponed(self, now_ms: int) -> set[str]:
        return {item for item, later in self.later.items() if later.at_ms > now_ms}

    def is_enough(self, item_id: str, fault: OwnFault) -> bool:
        """Count a fault; whether so many have come that it is kept as a finding."""
        self.faults[item_id, fault.part] += 1
        return self.faults[item_id, fault.part] >= TRIES

    def forget(self, item_id: str) -> None:
        """The item has been checked."""
        self.later.pop(item_id, None)
        for part in ("reader", "rules"):
            self.faults.pop((item_id, part), None)


def check_waiting_items(services: Services, rounds: Rounds | None = None) -> None:
    """Check what is marked, then what older readers or rules saw last, newest first."""
    rounds = rounds or Rounds()
    with SecondReader() as second:
        failed = 0
        while items := _next(services, rounds):
            for item_id in items:
                try:
                    _check_or_give_up(services, second, rounds, item_id)
                # Whatever went wrong with one item, the store's fault or ours, holds up no other.
                except Exception as error:
                    code = getattr(error, "code", "")
                    _log.warning(
                        "check_postponed item=%s code=%s", item_id, code, exc_info=not code
                    )
                    rounds.postpone(item_id, services.now_ms())
                    failed += isinstance(error, StoreUnavailable)
                else:
                    rounds.forget(item_id)
                    failed = 0
                if failed == _STORE_IS_AWAY:
                    return


def _next(services: Services, rounds: Rounds) -> Sequence[str]:
    """The next items of a round; none when there is nothing to do now."""
    postponed = rounds.postponed(services.now_ms())
    with reading() as session:
        marked = _readable(
            session,
            EvidenceItem.check_wanted.is_(True),
            EvidenceItem.captured_at_ms.asc(),
            postponed,
        )
        if marked or rounds.history_done:
            return marked
        older = _readable(session, _seen_by_older(), EvidenceItem.captured_at_ms.desc(), postponed)
        rounds.history_done = not older and not postponed
        return older


def _readable(
    session: Session,
    which: ColumnElement[bool],
    order: UnaryExpression[int],
    postponed: set[str],
) -> Sequence[str]:
    found = session.scalars(
        select(EvidenceItem.id)
        .join(MediaObject, MediaObject.sha256 == EvidenceItem.sha256)
        .where(
            which,
            MediaObject.status == "stored",
            held(EvidenceItem.sha256, EvidenceItem.organization_id),
            ~is_erased(EvidenceItem.id),
        )
        .order_by(order, EvidenceItem.id)
        .limit(_BATCH + len(postponed))
    )
    return [item for item in found if item not in postponed][:_BATCH]


def _seen_by_older() -> ColumnElement[bool]:
    """Items without facts of this reader or without a run of these rules."""
    read = exists().where(
        MediaFacts.sha256 == EvidenceItem.sha256, MediaFacts.reader_version == READER_VERSION
    )
    compared = exists().where(
        ItemCheck.item_id == EvidenceItem.id, ItemCheck.rule_version == RULE_VERSION
    )
    return ~read | ~compared


def _check_or_give_up(
    services: Services, second: SecondReader, rounds: Rounds, item_id: str
) -> None:
    """Check one item; once our own part has failed on it too often, without that part.

    Raises:
        OwnFault: if a part of ours failed, and not yet too often.
        MediaError: if its bytes cannot be read now.
    """
    given_up: dict[Part, str] = {}
    while True:
        try:
            _check_one(services, second, item_id, given_up)
        except OwnFault as fault:
            if not rounds.is_enough(item_id, fault):
                raise
            _log.error(
                "check_given_up item=%s part=%s fault=%s",
                item_id,
                fault.part,
                fault.kind,
                exc_info=True,
            )
            given_up[fault.part] = fault.kind
        else:
            return


def _check_one(
    services: Services, second: SecondReader, item_id: str, given_up: Mapping[Part, str]
) -> None:
    """Check one item and keep the result; ``given_up`` are parts that fail on it, and how.

    Raises:
        OwnFault: if another part fails on it.
        MediaError: if its bytes cannot be read now.
    """
    with reading() as session:
        item = session.get_one(EvidenceItem, item_id)
        if not is_here(session, item):
            return
        work = work_on(session, item)
    if "reader" in given_up:
        read = unread(work.size, given_up["reader"])
    else:
        with our_own("reader"):
            read = examine(services, second, work)
    made = store_pictures(services, work.sha256, read.pictures)
    try:
        _compare_and_keep(services, item_id, read, made, given_up, capture_class=work.capture_class)
    except Exception:
        # Rows that were read a moment ago may have gone: then nothing has failed.
        if not _was_erased(services, item_id, made):
            raise


def _compare_and_keep(
    services: Services,
    item_id: str,
    read: Read,
    made: Sequence[Derivative],
    given_up: Mapping[Part, str],
    *,
    capture_class: str,
) -> None:
    if "rules" in given_up:
        compared = uncompared(capture_class, given_up["rules"])
    else:
        with our_own("rules"):
            compared = compare(read, _context(services, item_id, read))
    with transaction() as session:
        # The first lock: nothing the rules compare can change from here on.
        ledger.lock_head(session)
        item = session.get_one(EvidenceItem, item_id, populate_existing=True)
        if not is_here(session, item):
            erase_too(session, item.sha256, [(one.key, one.size) for one in made])
            return
        if not item.check_wanted and not _is_older(session, item):
            return
        now_ms = services.now_ms()
        with our_own("reader"):
            keep_read(session, item, read, made, now_ms=now_ms)
        if item.state == "stored":
            item.state = "checked"
        with our_own("rules"):
            keep_check(session, item, compared, now_ms=now_ms)
        wake_partners(session, item, compared.found)
        if "rules" in given_up:
            item.check_wanted = False
            return
        # Whatever came while the file was read is compared in another run.
        now = gather_own(session, item, read, services.settings)
        item.check_wanted = now != replace(compared.context, neighbours=(), camera=None)


def _was_erased(services: Services, item_id: str, made: Sequence[Derivative]) -> bool:
    """Whether the item's bytes were erased by law meanwhile; what was made of them goes too."""
    with transaction() as session:
        ledger.lock_head(session)
        item = session.get_one(EvidenceItem, item_id, populate_existing=True)
        if is_here(session, item):
            return False
        erase_too(session, item.sha256, [(one.key, one.size) for one in made])
        return True


def _context(services: Services, item_id: str, read: Read) -> Context:
    with reading() as session:
        item = session.get_one(EvidenceItem, item_id)
        return gather(session, item, read, services.settings)


def _is_older(session: Session, item: EvidenceItem) -> bool:
    found = select(EvidenceItem.id).where(EvidenceItem.id == item.id, _seen_by_older())
    return session.scalar(found) is not None
