"""Time stamps by outside authorities: asked for, believed by two tools, kept, tried again."""

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DatabaseError

from server.authorities import Authority as Named
from server.cli.stamp import stamp as stamp_commands
from server.db import reading, transaction
from server.models.inspections import EvidencePackage
from server.models.journal import JournalLine
from server.models.ledger import Checkpoint, LedgerEvent
from server.models.stamps import StampAuthority, StampRequest, TimeStamp
from server.operations import export, ledger, stamps
from server.operations.intervals import interval_of
from server.operations.stamps import checking
from server.operations.stamps.errors import RequestUnknown, StampUnchecked, ToolsDisagree
from server.settings import Settings, SettingsError
from sync.evidence import canonical, tsp
from sync.evidence.line import Anchor
from sync.evidence.stamp_event import read_stamp_event, stamped_text
from tests.support.bureau import environment
from tests.support.console import console_world, make_case, visitor
from tests.support.tsa import Authority, in_ber
from tests.support.world import make_world

MINUTE_MS = 60_000


@dataclass
class Bureau:
    """A world whose clock the authority shares, and what its tables say."""

    world: object

    def authority(self, folder, name="national", **traits):
        """An authority whose certificate is valid in the world's time, which it tells."""
        now = datetime.fromtimestamp(self.world.now_ms / 1000, UTC)
        traits = {
            "valid_from": now - timedelta(days=30),
            "valid_to": now + timedelta(days=365),
            **traits,
        }
        authority = Authority(folder, **traits)
        authority.answer = lambda request: authority.stamp_at(request, self.world.now_ms)
        return authority

    def name(self, **addresses):
        """Let the settings name these authorities, each by name with (authority, url)."""
        named = tuple(
            Named(name=name, url=url, roots=authority.root.read_text())
            for name, (authority, url) in addresses.items()
        )
        object.__setattr__(self.world.settings, "authorities", named)

    def round(self, *, later_ms=0):
        self.world.now_ms += later_ms
        with self.world.app.app_context():
            stamps.stamp_what_is_due(self.world.services)

    def happen(self):
        """Something of substance, and the checkpoint that the sequencer signs after it."""
        with self.world.app.app_context(), transaction() as session:
            ledger.append(
                session,
                "policy",
                actor={"server": "test"},
                subject={"setting": "x"},
                now_ms=self.world.now_ms,
            )
        self.sign()

    def sign(self):
        with self.world.app.app_context(), transaction() as session:
            ledger.sign_checkpoint(
                session, self.world.services.ledger_signer, now_ms=self.world.now_ms
            )

    def rows(self, model=TimeStamp):
        with self.world.app.app_context(), reading() as session:
            rows = list(session.scalars(select(model)))
            session.expunge_all()
            return rows

    def events(self, kind):
        with self.world.app.app_context(), reading() as session:
            query = select(LedgerEvent).where(LedgerEvent.kind == kind)
            rows = session.scalars(query.order_by(LedgerEvent.index))
            return [(row.index, canonical.loads(row.event)) for row in rows]

    def standing(self, name="national"):
        return next((row for row in self.rows(StampAuthority) if row.name == name), None)


@pytest.fixture
def bureau(database_url, tmp_path):
    return Bureau(make_world(database_url, tmp_path / "var"))


@pytest.fixture
def authority(bureau, tmp_path):
    """One authority that the bureau asks over HTTP."""
    authority = bureau.authority(tmp_path / "tsa")
    with authority.serving() as url:
        bureau.name(national=(authority, url))
        yield authority


def test_the_newest_checkpoint_is_stamped_and_the_stamp_is_in_the_ledger(bureau, authority):
    bureau.happen()

    bureau.round()

    (row,) = bureau.rows()
    events = [(index, read_stamp_event(body)) for index, body in bureau.events("stamp")]
    ((index, event),) = [(index, event) for index, event in events if event]
    assert (row.generation, row.ledger_index) == (1, index)
    assert hashlib.sha256(stamped_text(event.checkpoint)).hexdigest() == row.imprint
    assert event.answer == row.sha256 == hashlib.sha256(row.answer).hexdigest()
    assert event.gen_time_ms == row.gen_time_ms == bureau.world.now_ms
    assert (event.margin_ms, event.serial) == (1000, "4d")
    assert row.checked_by == "rfc3161-client,openssl"
    newest = max(bureau.rows(Checkpoint), key=lambda one: one.size)
    assert newest.note.startswith(stamped_text(event.checkpoint).decode() + "\n")
    assert authority.asked[0][0] == "application/timestamp-query"


def test_an_answer_of_openssls_own_authority_is_believed(bureau, tmp_path):
    now = datetime.now(UTC)
    bureau.world.now_ms = int(now.timestamp() * 1000)
    authority = Authority(tmp_path / "tsa")
    with authority.serving() as url:
        bureau.name(national=(authority, url))
        bureau.happen()

        bureau.round()

    assert [row.checked_by for row in bureau.rows()] == ["rfc3161-client,openssl"]


def test_an_answer_that_one_tool_cannot_read_is_believed_by_the_other_alone(bureau, tmp_path):
    bureau.world.now_ms = int(datetime.now(UTC).timestamp() * 1000)
    authority = Authority(tmp_path / "tsa", chained=True)
    with authority.serving() as url:
        bureau.name(national=(authority, url))
        bureau.happen()

        bureau.round()

    assert [row.checked_by for row in bureau.rows()] == ["openssl"]


def test_an_answer_wrapped_in_ber_is_believed_as_openssl_does(bureau, authority):
    good = authority.answer
    authority.answer = lambda request: in_ber(good(request))
    bureau.happen()

    bureau.round()

    assert [row.checked_by for row in bureau.rows()] == ["openssl"]


def test_the_roots_by_which_a_stamp_was_believed_are_kept_as_whole_certificates(
    bureau, authority, tmp_path
):
    (named,) = bureau.world.settings.authorities
    between = bureau.authority(tmp_path / "between").root.read_text()
    changed = replace(named, roots=named.roots.rstrip("\n"), untrusted=between)
    object.__setattr__(bureau.world.settings, "authorities", (changed,))
    bureau.happen()

    bureau.round()

    (row,) = bureau.rows()
    assert len(x509.load_pem_x509_certificates(row.roots.encode())) == 2


def test_the_ledger_comes_to_rest_after_a_stamp(bureau, authority):
    bureau.happen()
    bureau.round()

    for _ in range(5):
        bureau.sign()
        bureau.round(later_ms=30 * MINUTE_MS)

    assert len(authority.asked) == 1


def test_a_growing_ledger_is_stamped_every_ten_minutes(bureau, authority):
    bureau.happen()
    bureau.round()
    for _ in range(4):
        bureau.happen()
        bureau.round(later_ms=5 * MINUTE_MS)

    assert len(authority.asked) == 3


def test_each_authority_stamps_on_its_own_and_one_that_is_silent_holds_up_none(
    bureau, authority, tmp_path
):
    other = bureau.authority(tmp_path / "other")
    with other.serving() as url:
        (first,) = bureau.world.settings.authorities
        bureau.name(silent=(other, "http://127.0.0.1:9/"), other=(other, url))
        object.__setattr__(
            bureau.world.settings, "authorities", (*bureau.world.settings.authorities, first)
        )
        bureau.happen()

        bureau.round()

    assert sorted(row.authority for row in bureau.rows()) == ["national", "other"]
    assert bureau.standing("silent").code == "stamp.unreachable"


def test_a_believed_stamp_that_cannot_be_kept_holds_up_no_other_authority(
    bureau, authority, tmp_path
):
    (good,) = bureau.world.settings.authorities
    other = bureau.authority(tmp_path / "other")
    other.answer = lambda request: other.stamp_at(request, bureau.world.now_ms, serial=1 << 4000)
    with other.serving() as url:
        bureau.name(endless=(other, url))
        object.__setattr__(
            bureau.world.settings, "authorities", (*bureau.world.settings.authorities, good)
        )
        bureau.happen()

        bureau.round()

    assert [row.authority for row in bureau.rows()] == ["national"]
    assert bureau.standing("endless").code == "stamp.answer"


def _rejected(request, _):
    return bytes.fromhex("30053003020102")


WRONG = {
    "an error": (lambda request, one: (503, b"busy"), "stamp.unreachable"),
    "a page": (lambda request, one: b"<html>", "stamp.answer"),
    "a rejection": (_rejected, "stamp.answer"),
    "half of it": (lambda request, one: one.answer(request)[:-40], "stamp.answer"),
    "too much": (lambda request, one: bytes(tsp.MAX_BYTES + 5), "stamp.answer"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_stamp_is_refused_shown_and_tried_again(bureau, authority, wrong):
    good, (behave, code) = authority.answer, WRONG[wrong]
    bureau.happen()
    good_one = type("Good", (), {"answer": staticmethod(good)})
    authority.answer = lambda request: behave(request, good_one)

    bureau.round()
    assert (bureau.rows(), bureau.standing().code) == ([], code)
    bureau.round(later_ms=MINUTE_MS // 2)
    assert len(authority.asked) == 1
    authority.answer = good
    bureau.round(later_ms=MINUTE_MS)

    assert len(bureau.rows()) == 1
    assert (bureau.standing().code, bureau.standing().failures) == ("", 0)


def test_who_does_not_answer_is_asked_ever_more_seldom_up_to_an_hour(bureau, authority):
    bureau.happen()
    authority.answer = lambda request: (500, b"")

    for _ in range(300):
        bureau.round(later_ms=MINUTE_MS)

    assert 8 <= len(authority.asked) <= 12
    assert bureau.standing().next_at_ms - bureau.standing().tried_at_ms == 60 * MINUTE_MS


@pytest.mark.parametrize(
    "wrong", [{"nonce": 12345}, {"imprint": hashlib.sha256(b"other").digest()}]
)
def test_a_stamp_for_another_request_is_refused_with_an_alarm(bureau, authority, wrong):
    bureau.happen()
    authority.answer = lambda request: authority.stamp_at(request, bureau.world.now_ms, **wrong)

    bureau.round()
    bureau.round(later_ms=2 * MINUTE_MS)

    assert bureau.rows() == []
    (alarm,) = [body for _, body in bureau.events("alarm")]
    assert alarm["subject"] == {"authority": "national"}
    assert alarm["snapshot"]["code"] == "stamp.elsewhere"
    assert bureau.standing().failures == 2


def test_one_authority_cannot_stamp_as_another(bureau, authority, tmp_path):
    stranger = bureau.authority(tmp_path / "stranger")
    authority.answer = stranger.answer
    bureau.happen()

    bureau.round()

    assert bureau.rows() == []
    assert bureau.standing().code == "stamp.untrusted"
    assert "rfc3161-client" in bureau.standing().detail
    assert "openssl" in bureau.standing().detail


def test_a_stamp_made_after_its_certificate_ended_is_refused(bureau, authority):
    ended = datetime.fromtimestamp(bureau.world.now_ms / 1000, UTC) - timedelta(days=1)
    authority.new_signer(ended - timedelta(days=10), ended)
    bureau.happen()

    bureau.round()

    assert bureau.rows() == []
    assert bureau.standing().code == "stamp.untrusted"


def test_a_key_for_other_purposes_cannot_stamp(bureau, tmp_path):
    authority = bureau.authority(tmp_path / "tsa", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with authority.serving() as url:
        bureau.name(national=(authority, url))
        bureau.happen()

        bureau.round()

    assert bureau.standing().code == "stamp.untrusted"


def _checked(authority, roots):
    """What :func:`check` says of a stamp of ``authority`` by these roots."""
    imprint = hashlib.sha256(b"x").digest()
    answer = authority.stamp(tsp.build_request(imprint, nonce=7))
    named = Named(name="one", url="", roots=roots)
    return checking.check(answer, imprint=imprint, nonce=7, authority=named)


def test_without_openssl_one_tool_is_enough_and_says_so(tmp_path, monkeypatch):
    authority = Authority(tmp_path / "tsa")
    monkeypatch.setattr(checking.shutil, "which", lambda name: None)

    assert _checked(authority, authority.root.read_text()).checked_by == ("rfc3161-client",)


def test_what_no_tool_can_check_is_not_believed(tmp_path, monkeypatch):
    authority = Authority(tmp_path / "tsa", chained=True)
    monkeypatch.setattr(checking.shutil, "which", lambda name: None)

    with pytest.raises(StampUnchecked):
        _checked(authority, authority.root.read_text())


def test_a_stamp_that_only_one_of_two_tools_believes_is_refused(tmp_path, monkeypatch):
    authority = Authority(tmp_path / "tsa")
    # A client that believes everything, as two of its versions did.
    monkeypatch.setattr(checking, "_ask_client", lambda *args, **values: "")
    stranger = Authority(tmp_path / "stranger")

    with pytest.raises(ToolsDisagree, match="rfc3161-client believes it; openssl"):
        _checked(authority, stranger.root.read_text())


def test_a_clock_that_differs_from_the_authoritys_raises_one_alarm(bureau, authority):
    hour_ms = 60 * MINUTE_MS
    authority.answer = lambda request: authority.stamp_at(request, bureau.world.now_ms - hour_ms)
    for _ in range(3):
        bureau.happen()
        bureau.round(later_ms=11 * MINUTE_MS)

    assert len(bureau.rows()) == 3
    (alarm,) = [body["snapshot"] for _, body in bureau.events("alarm")]
    assert (alarm["act"], alarm["apart_ms"]) == ("other_time", hour_ms - 1000)


def test_kept_stamps_take_no_change(bureau, authority):
    bureau.happen()
    bureau.round()

    for statement in (update(TimeStamp).values(gen_time_ms=1), delete(TimeStamp)):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            bureau.world.app.app_context(),
            transaction() as session,
        ):
            session.execute(statement)


def test_the_interval_of_a_line_rests_on_stamps_where_there_are_any(bureau, authority):
    world = bureau.world
    bureau.happen()
    bureau.round()
    first_ms = world.now_ms
    bureau.sign()
    world.now_ms += 20 * MINUTE_MS
    device = world.on_patrol()
    # It embeds a checkpoint that contains the first stamp.
    newest = max(bureau.rows(Checkpoint), key=lambda one: one.size)
    origin = world.services.ledger_signer.name
    device.anchor = Anchor(origin, newest.size, newest.root)
    device.write("note.added", officer=world.officers[0], inspection=device.inspection, text="到场")
    assert world.push(device).status_code == 200
    bureau.sign()
    bureau.round(later_ms=MINUTE_MS)

    with world.app.app_context(), reading() as session:
        line = session.scalars(
            select(JournalLine).order_by(JournalLine.ledger_index.desc()).limit(1)
        ).one()
        interval = interval_of(session, line)

    assert interval.outside.not_before_ms == first_ms - 1000
    assert interval.outside.not_after_ms == world.now_ms + 1000
    assert interval.not_after_ms < interval.outside.not_after_ms
    assert not interval.clocks_differ


def test_a_stamp_is_renewed_before_its_certificate_ends_while_nothing_happens(bureau, authority):
    bureau.happen()
    bureau.round()
    day_ms = 24 * 60 * MINUTE_MS
    bureau.round(later_ms=330 * day_ms)
    assert len(authority.asked) == 1
    now = datetime.fromtimestamp(bureau.world.now_ms / 1000, UTC)
    authority.new_signer(now - timedelta(days=1), now + timedelta(days=700))

    bureau.round(later_ms=10 * day_ms)
    bureau.round(later_ms=10 * day_ms)

    older, newer = sorted(bureau.rows(), key=lambda row: row.ledger_index)
    assert newer.renews == older.sha256
    assert newer.imprint == hashlib.sha256(bytes.fromhex(older.imprint) + older.answer).hexdigest()
    assert (newer.covers_generation, newer.covers_size) == (1, older.covers_size)


def test_while_the_certificate_stays_the_same_a_renewal_is_asked_for_once_a_day(bureau, authority):
    bureau.happen()
    bureau.round()
    hour_ms = 60 * MINUTE_MS
    bureau.world.now_ms += 340 * 24 * hour_ms

    for _ in range(50):
        bureau.round(later_ms=hour_ms)

    assert len(authority.asked) == 1 + 3


def test_requests_and_answers_travel_as_files(bureau, tmp_path):
    authority = bureau.authority(tmp_path / "tsa")
    bureau.name(far=(authority, ""))
    bureau.happen()
    bureau.round()
    world = bureau.world
    with world.app.app_context(), transaction() as session:
        files = stamps.write_requests(
            session, world.settings, world.settings.authorities, now_ms=world.now_ms
        )
    ((name, request),) = files.items()
    assert name.startswith("far-")
    world.now_ms += 3 * 24 * 60 * MINUTE_MS

    with world.app.app_context():
        stamps.take_answer(world.services, authority.answer(request))

    (row,) = bureau.rows()
    assert (row.authority, row.gen_time_ms) == ("far", world.now_ms)
    assert bureau.rows(StampRequest) == []
    with world.app.app_context(), pytest.raises(RequestUnknown):
        stamps.take_answer(world.services, authority.answer(request))


def test_a_forged_answer_in_a_file_is_refused_and_the_request_waits_on(bureau, tmp_path):
    authority = bureau.authority(tmp_path / "tsa")
    stranger = bureau.authority(tmp_path / "stranger")
    bureau.name(far=(authority, ""))
    bureau.happen()
    world = bureau.world
    with world.app.app_context(), transaction() as session:
        files = stamps.write_requests(
            session, world.settings, world.settings.authorities, now_ms=world.now_ms
        )
    (request,) = files.values()

    with world.app.app_context(), pytest.raises(checking.StampUntrusted):
        stamps.take_answer(world.services, stranger.answer(request))
    with world.app.app_context():
        stamps.take_answer(world.services, authority.answer(request))

    assert len(bureau.rows()) == 1
    assert [body["snapshot"]["code"] for _, body in bureau.events("alarm")] == ["stamp.untrusted"]


def test_the_command_line_carries_stamps_for_an_authority_that_no_cable_leads_to(
    database_url, tmp_path
):
    authority = Authority(tmp_path / "tsa")
    listed = tmp_path / "tsa.ini"
    listed.write_text(f"[far]\nca = {authority.root}\n")
    variables = environment(
        tmp_path / "var", LIUHEN_DATABASE_URL=database_url, LIUHEN_TSA=str(listed)
    )
    world = make_world(database_url, tmp_path / "var")
    world.now_ms = int(datetime.now(UTC).timestamp() * 1000)
    Bureau(world).happen()
    run = CliRunner(env=variables)
    folder = tmp_path / "usb"

    before = run.invoke(stamp_commands, ["status"])
    assert run.invoke(stamp_commands, ["export", str(folder)]).exit_code == 0
    (request,) = folder.iterdir()
    answer, forged = folder / "answer.tsr", folder / "forged.tsr"
    answer.write_bytes(authority.stamp(request.read_bytes()))
    stranger = Authority(tmp_path / "stranger")
    forged.write_bytes(stranger.stamp(request.read_bytes()))
    refused = run.invoke(stamp_commands, ["import", str(forged)])
    taken = run.invoke(stamp_commands, ["import", str(answer)])
    after = run.invoke(stamp_commands, ["status"])

    assert (before.exit_code, refused.exit_code) == (1, 1)
    assert "stamp.untrusted" in refused.output
    assert (taken.exit_code, after.exit_code) == (0, 0), taken.output + after.output
    assert "far: 1 stamps" in after.output


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[One]\nca = root.pem\n", "must be of a-z"),
        ("[one]\nurl = http://x/\n", "lacks ca"),
        ("[one]\nca = none.pem\n", "cannot read"),
        ("[one]\nca = tsa.ini\n", "no certificates in PEM"),
        ("[one]\nca = root.pem\nurl = ftp://x/\n", "must begin with"),
        ("[one]\nca = root.pem\nroot = y\n", "knows no root"),
        ("url = x\n", "no section headers"),
    ],
)
def test_a_file_of_authorities_that_says_nonsense_is_refused_by_name(tmp_path, text, wrong):
    Authority(tmp_path)
    path = tmp_path / "tsa.ini"
    path.write_text(text)

    with pytest.raises(SettingsError, match=wrong) as refused:
        Settings.from_env(environment(tmp_path / "var", LIUHEN_TSA=str(path)))

    assert refused.value.names == ("LIUHEN_TSA",)


def test_pages_show_each_authority_why_one_fails_and_the_stamps_of_a_package(
    database_url, tmp_path
):
    world = console_world(database_url, tmp_path / "var")
    case = make_case(world, checked=False)
    bureau = Bureau(world)
    authority = bureau.authority(tmp_path / "tsa")
    asked = {"reason": "移送公安", "despite": "测试"}
    visitor(world, "administrator").post(f"/inspections/{case.inspection}/packages", asked)
    with world.app.app_context():
        export.build_waiting_packages(world.services)
    (package,) = bureau.rows(EvidencePackage)
    bureau.sign()
    with authority.serving() as url:
        bureau.name(national=(authority, url))
        bureau.round()
        authority.answer = lambda request: (503, b"")
        bureau.happen()
        bureau.round(later_ms=11 * MINUTE_MS)

    page = visitor(world, "supervisor").get("/store?lang=en").text
    browser = visitor(world, "administrator")
    ways = browser.get(f"/packages/{package.id}/take").text
    answer = browser.get(f"/packages/{package.id}/stamps/1")

    section = page.partition('id="stamps"')[2].partition("</section>")[0]
    for words in ("national", "stamp.unreachable", "HTTP 503", "covers the first"):
        assert words in section
    assert f"{export.package_name(package)}.tsr" in ways
    assert tsp.parse_stamp(answer.data).imprint.hex() == package.sha256
    assert browser.get(f"/packages/{package.id}/stamps/2").status_code == 404
