"""What changes under the devices: holders, reviewers' words, damaged copies, old backups."""

from server.db import reading
from server.failures import Conflict, NotIndependent
from server.models.inspections import EvidenceItem
from server.models.journal import JournalLine, LineOutcome, QuarantineDecision
from server.operations import feed, forms, generations, ledger, quarantine, review, scopes
from server.operations.revocation import revoke_device
from sync.evidence import note
from sync.evidence.checkpoint import parse_checkpoint
from tests.support.audit import audit
from tests.support.backup import Backup
from tests.support.restoring import restore
from tests.support.stage import Stage


class Upheaval(Stage):
    """The rules of the bureau's side."""

    def publish(self, rng):
        """The administrator enters or changes a document."""
        identifier = rng.choice("abcdefgh")
        body = {"id": identifier, "name": f"示例{rng.randrange(1000)}"}
        self.published["entity", identifier] = body
        with self.writing() as session:
            feed.put_document(
                session,
                scope=feed.organization_scope(self.world.organization),
                kind="entity",
                identifier=identifier,
                body=body,
                now_ms=self.world.now_ms,
            )

    def withdraw(self, rng):
        """A document is deleted for everyone."""
        if not self.published:
            return
        kind, identifier = rng.choice(sorted(self.published))
        del self.published[kind, identifier]
        with self.writing() as session:
            feed.remove_document(
                session,
                scope=feed.organization_scope(self.world.organization),
                kind=kind,
                identifier=identifier,
                now_ms=self.world.now_ms,
            )

    def compact(self, _rng):
        """A year and more later: whoever has not read since begins anew."""
        now_ms = self.world.now_ms
        with self.writing() as session:
            feed.compact(session, older_than_ms=now_ms, now_ms=now_ms)

    def publish_forms(self, _rng):
        """New versions of the forms come with a new version of the program."""
        with self.writing() as session:
            forms.publish_shipped(session, self.world.organization, now_ms=self.world.now_ms)

    def hand_over(self, rng):
        """A device gets other holders, or serves everybody."""
        field = rng.choice(self.fields)
        officers = self.world.officers
        holders = rng.choice((None, [], officers[:1], officers[1:], officers))
        with self.writing() as session:
            scopes.set_holders(
                session,
                self.world.organization,
                field.sim.id,
                holders,
                by=self.reviewer.for_ledger(),
                now_ms=self.world.now_ms,
            )

    def revoke(self, rng):
        """A phone is lost: it still hands in what it has and learns nothing new."""
        if len(self.fields) < 4:
            return
        field = rng.choice(self.fields[3:])
        if not field.revoked:
            with self.writing() as session:
                revoke_device(
                    session,
                    self.reviewer,
                    field.sim.id,
                    reason="遗失",
                    now_ms=self.world.now_ms,
                )
            field.revoked = True

    def judge(self, rng):
        """The reviewer says a word on an item whose bytes are here."""
        with self.world.app.app_context(), reading() as session:
            items = session.query(EvidenceItem.id).filter(EvidenceItem.state == "stored")
            known = sorted(row.id for row in items)
        if not known:
            return
        word = review.Word(verdict=rng.choice(review.VERDICTS), reason="见备注", seen=0)
        with self.writing() as session:
            review.judge(session, self.reviewer, rng.choice(known), word, now_ms=self.world.now_ms)

    def decide(self, rng):
        """The reviewer releases or keeps a line that is in quarantine."""
        with self.world.app.app_context(), reading() as session:
            waiting = session.query(LineOutcome).filter_by(projection="quarantined").all()
            places = sorted((row.device_id, row.epoch, row.branch, row.seq) for row in waiting)
            if not places:
                return
            digest = session.get_one(JournalLine, rng.choice(places)).digest
            seen = session.query(QuarantineDecision).filter_by(kind="line", subject=digest).count()
        word = quarantine.Decision(
            decision=rng.choice(("released", "released", "kept")), reason="已核实", seen=seen
        )
        try:
            with self.writing() as session:
                quarantine.decide(
                    session, self.reviewer, "line", digest, word, now_ms=self.world.now_ms
                )
        except (Conflict, NotIndependent):
            pass

    def checkpoint(self, _rng):
        with self.writing() as session:
            ledger.sign_checkpoint(
                session, self.world.services.ledger_signer, now_ms=self.world.now_ms
            )

    def damage(self, rng):
        """A device's copy changes by itself: a document is lost, altered or invented."""
        field = rng.choice(self.fields)
        names = sorted(field.documents)
        if not names or field.revoked:
            return
        match rng.choice(("lost", "altered", "invented")):
            case "lost":
                del field.documents[rng.choice(names)]
            case "altered":
                field.documents[rng.choice(names)] = {"id": "?"}
            case _:
                field.documents["entity", f"ghost{rng.randrange(9)}"] = {"id": "?"}
        self.repair(field)

    def back_up(self, _rng):
        """Copy the database; what only the oracle knows is noted beside it."""
        self.backup = self.backup or Backup(self.world, self.folder)
        self.backup.keep()
        self.kept_state = (
            len(self.fields),
            dict(self.published),
            [field.revoked for field in self.fields],
        )

    def put_back(self, _rng):
        """The disk is broken; the copy takes its place and a new generation begins."""
        if self.kept_state is None or self.kept_state[0] != len(self.fields):
            return
        self.backup.put_back()
        self.published = dict(self.kept_state[1])
        for field, revoked in zip(self.fields, self.kept_state[2], strict=True):
            field.revoked = revoked
        self._refuses_until_restored()
        restore(self.world)
        self.learn_keys()
        kept = audit(self.world.app, self.receipt_keys)
        for field in self.fields:
            # What the copy does not hold any more is unsent again; its receipt names another life.
            field.promised = {d: r for d, r in field.promised.items() if r in kept.receipts}
        self.restores += 1

    def _refuses_until_restored(self):
        """A database behind a checkpoint that a device shows takes no line."""
        with self.world.app.app_context(), reading() as session:
            size, origin = ledger.size(session), ledger.current_generation(session).origin
        for field in self.fields:
            if not field.checkpoint:
                continue
            head = parse_checkpoint(note.parse_note(field.checkpoint).text)
            answer = self.world.client.post(
                "/api/v1/ledger/seen",
                json={"checkpoint": field.checkpoint},
                headers=field.sim.headers,
            )
            assert answer.status_code in (200, 204), answer.text
            if head.origin == origin and head.size > size:
                line = field.sim.lines[0].to_bytes() + b"\n"
                refused = self.post(field, field.sim, line)
                assert refused.status_code == 503, refused.text
                assert refused.json["code"] == "ledger.behind"
                with self.world.app.app_context(), reading() as session:
                    assert generations.standing(session).behind
