"""Who works on this device: officers log in, by PIN or by word, and every act names one.

A PIN guards the screen, not the evidence: it is set on first use and kept as a
scrypt hash on this device alone. Reports therefore say how each officer
confirmed, and a verifier reads it from the chain (docs/protocol.md §4.1).
"""

import hashlib
import hmac
import os
import uuid
from dataclasses import dataclass
from typing import Literal

from sync.client.documents import Documents
from sync.client.errors import NoSession, PinTooShort, WrongPin
from sync.client.journal import Journal
from sync.client.outbox import Outbox
from sync.evidence import acts

Method = Literal["none", "pin"]

MIN_PIN_LENGTH = 6
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 15, 8, 1
_SCRYPT_MEMORY = 64 << 20


@dataclass(frozen=True)
class Session:
    """An officer's time at this device; ``method`` says how they confirmed."""

    id: str
    officer: str
    method: str
    certificate_no: str


class Sessions:
    """Opens and closes sessions in the journal."""

    def __init__(self, outbox: Outbox, journal: Journal, documents: Documents) -> None:
        self._outbox = outbox
        self._journal = journal
        self._documents = documents

    def open(self, officer: str, *, method: Method = "none", pin: str = "") -> Session:
        """Log ``officer`` in (id or certificate number); an open session is kept as it is.

        Raises:
            UnknownDocument, AmbiguousOfficer: if the officer is not known here.
            WrongPin, PinTooShort: with method ``pin``.
        """
        person = self._documents.officer(officer)
        if method == "pin":
            self._check_pin(person.id, pin)
        existing = self.find(person.id)
        if existing is not None and method in ("none", existing.method):
            return existing
        if existing is not None:
            self.close(person.id)
        session = Session(str(uuid.uuid4()), person.id, method, person.certificate_no)
        self._write(session)
        return session

    def close(self, officer: str) -> None:
        """Log ``officer`` out.

        Raises:
            NoSession: if they are not logged in.
        """
        session = self.need(officer)
        self._journal.append(
            {"type": acts.SESSION_CLOSED, "officer": session.officer, "session": session.id}
        )

    def hand_over(
        self, leaving: str, taking: str, *, method: Method = "none", pin: str = ""
    ) -> Session:
        """Close one officer's session and open the next officer's, which says what it continues.

        Raises:
            NoSession: if the one who leaves is not logged in.
            UnknownDocument, AmbiguousOfficer, WrongPin, PinTooShort: nothing was closed.
        """
        old = self.need(self._documents.officer(leaving).id)
        person = self._documents.officer(taking)
        if method == "pin":
            self._check_pin(person.id, pin)
        self.close(old.officer)
        existing = self.find(person.id)
        if existing is not None:
            return existing
        session = Session(str(uuid.uuid4()), person.id, method, person.certificate_no)
        epoch = self._outbox.head().epoch
        self._write(session, {"continues": {"epoch": epoch, "session": old.id}})
        return session

    def current(self) -> list[Session]:
        """The open sessions of the present epoch, oldest first."""
        rows = self._outbox.db.execute(
            "SELECT id, officer, method, certificate_no FROM session"
            " WHERE open = 1 AND epoch = ? ORDER BY opened",
            (self._outbox.head().epoch,),
        )
        return [Session(*row) for row in rows]

    def find(self, officer: str) -> Session | None:
        for session in self.current():
            if officer in (session.officer, session.certificate_no):
                return session
        return None

    def need(self, officer: str) -> Session:
        session = self.find(officer)
        if session is None:
            raise NoSession(officer)
        return session

    def acting(self, officer: str | None, *, among: tuple[str, ...] = ()) -> Session:
        """The session in whose name an act is written.

        ``officer`` if named; else the first of ``among`` who is logged in; else
        whoever logged in last.

        Raises:
            NoSession: if the one named, or anyone at all, is not logged in.
        """
        if officer is not None:
            return self.need(officer)
        sessions = self.current()
        for wanted in among:
            for session in sessions:
                if session.officer == wanted:
                    return session
        if not sessions:
            raise NoSession
        return sessions[-1]

    def carry_over(self, epoch: str) -> None:
        """Open again in the present epoch what was open in ``epoch``, saying so."""
        rows = self._outbox.db.execute(
            "SELECT id, officer, method, certificate_no FROM session"
            " WHERE open = 1 AND epoch = ? ORDER BY opened",
            (epoch,),
        ).fetchall()
        for row in rows:
            old = Session(*row)
            if self.find(old.officer) is None:
                self.continue_from(old, epoch)

    def continue_from(self, old: Session, epoch: str) -> Session:
        """Open a session that goes on from ``old``, which belongs to ``epoch``."""
        session = Session(str(uuid.uuid4()), old.officer, old.method, old.certificate_no)
        self._write(session, {"continues": {"epoch": epoch, "session": old.id}})
        return session

    def _write(self, session: Session, more: dict[str, object] | None = None) -> None:
        self._journal.append(
            {
                "type": acts.SESSION_OPENED,
                "officer": session.officer,
                "session": session.id,
                "method": session.method,
                "certificate_no": session.certificate_no,
                **(more or {}),
            }
        )

    def has_pin(self, officer: str) -> bool:
        """Whether the officer set a PIN on this device before."""
        person = self._documents.officer(officer)
        row = self._outbox.db.execute("SELECT 1 FROM pin WHERE officer = ?", (person.id,))
        return row.fetchone() is not None

    def _check_pin(self, officer: str, pin: str) -> None:
        row = self._outbox.db.execute(
            "SELECT salt, hash FROM pin WHERE officer = ?", (officer,)
        ).fetchone()
        if row is not None:
            if not hmac.compare_digest(_stretched(pin, row[0]), row[1]):
                raise WrongPin
            return
        if len(pin) < MIN_PIN_LENGTH:
            raise PinTooShort
        salt = os.urandom(16)
        with self._outbox.transaction() as db:
            db.execute("INSERT INTO pin VALUES (?, ?, ?)", (officer, salt, _stretched(pin, salt)))


def _stretched(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        pin.encode(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, maxmem=_SCRYPT_MEMORY
    )
