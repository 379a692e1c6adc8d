"""The signed sheet: what a party signed on paper is compared with the journals."""

import io
import shutil
import zipfile

import pytest

from server.db import reading, transaction
from server.models.inspections import Inspection
from server.models.journal import LineOutcome
from server.models.sheets import PrintedSheet, SheetScan
from server.operations.inspection_doubts import inspection_doubts
from sync import shortcode
from sync.shortcode import FullHead
from tests.support.casework import PackageDesk
from tests.support.simdevice import new_id
from tests.support.stores import MemoryStore
from tests.support.world import make_world

_PAGE = "ab" * 32


@pytest.fixture
def world(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "sheets.sqlite")
    url = f"sqlite:///{tmp_path / 'sheets.sqlite'}"
    return make_world(url, tmp_path / "var", store=MemoryStore())


class Visit:
    """One device's visit with a record and two photos; ``print`` writes the sheet's line."""

    def __init__(self, world):
        self.world, self.device = world, world.on_patrol()
        self.by = {"officer": world.officers[0], "inspection": self.device.inspection}
        self.record = new_id()
        self.first = self.save("排口有水流出")
        self.items = [self.capture(name) for name in ("排口", "车间")]

    def save(self, findings, base=()):
        return self.device.write(
            "record.saved",
            **self.by,
            record=self.record,
            template={"id": "site_inspection_record", "version": 1},
            fields={"findings": findings},
            base=list(base),
        )

    def capture(self, title, **more):
        item = {"item": new_id(), "sha256": new_id().replace("-", "") * 2}
        self.device.write(
            "media.captured",
            **self.by,
            **item,
            size=5,
            media_type="image/jpeg",
            title=title,
            **{"class": "B"},
            **more,
        )
        return item

    def print(self, **changed):
        last = self.device.lines[-1]
        sheet = {
            "seq": last.header.seq,
            "head": last.digest,
            "sha256": _PAGE,
            "items": self.items,
            "revisions": [self.first.digest],
            **changed,
        }
        return sheet, self.device.write("sheet.printed", **self.by, **sheet)

    def seal(self):
        self.device.write("inspection.sealed", **self.by, revisions=[], media=[], heads=[])

    def told(self):
        """What is told of the sheets: reason and severity."""
        assert self.world.push(self.device).status_code == 200
        with self.world.app.app_context(), reading() as session:
            inspection = session.get_one(Inspection, self.device.inspection)
            return [
                (doubt.evidence["expected"]["reason"], doubt.severity)
                for doubt in inspection_doubts(session, inspection).doubts
                if doubt.code == "SHEET_HEAD"
            ]


@pytest.fixture
def visit(world):
    return Visit(world)


def _typed(sheet):
    return shortcode.spell(sheet["seq"], sheet["head"])


def test_a_sheet_that_came_back_signed_and_fits_raises_no_doubt(visit):
    sheet, _ = visit.print()
    visit.capture("签名页", sheet=_typed(sheet))
    visit.seal()

    assert visit.told() == []
    (row,) = visit.world.rows(PrintedSheet)
    assert (row.sha256, row.head) == (_PAGE, sheet["head"])


def test_a_qr_code_that_was_scanned_says_the_same_as_the_short_code(visit):
    sheet, line = visit.print()
    head = FullHead(line.header.device, line.header.epoch, sheet["seq"], sheet["head"])
    visit.capture("签名页", sheet=shortcode.spell_full(head))
    visit.seal()

    assert visit.told() == []


def test_a_sheet_of_another_chain_contradicts_the_journal(visit):
    visit.print(head="cd" * 32)

    assert visit.told() == [("contradicts", "fail")]


def test_a_sheet_of_lines_that_never_came_is_unknown(visit):
    visit.print(seq=4000, head="cd" * 32)

    assert ("unknown", "warn") in visit.told()


def test_a_paper_that_shows_another_head_contradicts_the_journal(visit):
    sheet, _ = visit.print()
    visit.capture("签名页", sheet=shortcode.spell(sheet["seq"], "cd" * 32))
    visit.seal()

    assert visit.told() == [("scan_contradicts", "fail"), ("unsigned", "info")]


def test_a_record_that_was_changed_after_printing_is_told(visit):
    visit.print()
    visit.save("排口无水", base=[visit.first.digest])

    assert visit.told() == [("changed", "warn")]


def test_an_item_that_was_left_off_the_sheet_is_told(visit):
    visit.print(items=visit.items[:1])

    assert visit.told() == [("omitted", "warn")]


def test_an_item_that_was_captured_after_printing_is_no_doubt(visit):
    visit.print()
    visit.capture("后来补拍")

    assert visit.told() == []


def test_a_digest_on_the_sheet_that_is_not_the_items_is_told(visit):
    visit.print(items=[{**visit.items[0], "sha256": "ef" * 32}, visit.items[1]])

    assert visit.told() == [("item_differs", "fail")]


def test_a_sheet_that_was_never_signed_is_told_once_the_visit_is_sealed(visit):
    visit.print()
    assert visit.told() == []

    visit.seal()
    assert visit.told() == [("unsigned", "info")]


@pytest.mark.parametrize("said", ["见纸质件", "412-7ZK3M", "x" * 300])
def test_what_is_no_head_is_unreadable_and_costs_nothing(visit, said):
    visit.capture("签名页", sheet=said)

    assert visit.told() == [("unreadable", "warn")]
    assert len(visit.world.rows(SheetScan)) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"head": "x"},
        {"seq": -1},
        {"items": [5]},
        {"items": [{"item": "x", "sha256": _PAGE}]},
        {"revisions": 3},
        {"revisions": [True]},
    ],
)
def test_a_malformed_sheet_is_kept_and_not_shown(visit, changed):
    _, line = visit.print(**changed)
    visit.told()

    (outcome,) = [x for x in visit.world.rows(LineOutcome) if x.seq == line.header.seq]
    assert (outcome.projection, outcome.code) == ("quarantined", "projection.malformed_act")


def test_a_sheet_that_contradicts_stands_in_the_report_of_a_package(visit):
    visit.print(head="cd" * 32)
    visit.told()
    desk = PackageDesk(visit.world)

    row = desk.build(desk.request(visit.device.inspection))

    assert row.verdict == "PASS"
    with zipfile.ZipFile(io.BytesIO(desk.bytes_of(row))) as archive:
        report = archive.read("report/report.html").decode()
    assert "签名页上的日志短码" in report
    assert "打印之后日志被改动" in report


def test_the_tables_of_sheets_only_grow(visit):
    visit.print()
    visit.told()

    with (
        visit.world.app.app_context(),
        pytest.raises(Exception, match="append-only"),
        transaction() as session,
    ):
        session.query(PrintedSheet).update({"head": "0" * 64})
