"""What the papers of visits say beside each other: interviews, site records, signatures, places."""

import json

import pytest
from sqlalchemy import delete

from server.db import transaction
from server.models.devices import ClockOffset
from server.models.inspections import RegulatedEntity, TemplateVersion
from server.operations import forms
from tests.support.simdevice import MORNING_MS, new_id
from tests.support.team import MINUTE, Team


@pytest.mark.parametrize(("slow_min", "told"), [(0, True), (30, False)])
def test_one_officer_at_two_distant_parties_within_a_minute(world, team, slow_min, told):
    """By the bureau's clock: where one device's is half an hour slow, both can be true."""
    far, other = new_id(), new_id()
    with world.app.app_context(), transaction() as session:
        session.add(
            RegulatedEntity(
                id=far,
                organization_id=world.organization,
                name="远处的示例厂",
                uscc="",
                address="",
                lat_e7=226431000,
                lon_e7=1140579000,
                radius_cm=30000,
            )
        )
    team.photo()
    team.push()
    fellow = Team(world)
    fellow.device.write(
        "inspection.opened",
        officer=team.officer,
        inspection=other,
        officers=world.officers,
        entity=far,
        title="另一处",
    )
    fellow.inspection = other
    fellow.photo()
    fellow.push()
    with world.app.app_context(), transaction() as session:
        session.execute(delete(ClockOffset))
        session.add(
            ClockOffset(
                device_id=fellow.device.id,
                server_ms=MORNING_MS,
                offset_ms=slow_min * MINUTE,
                error_ms=1000,
            )
        )

    assert team.doubts("OFFICER_TWO_PLACES") == ([("OFFICER_TWO_PLACES", "items")] if told else [])


def _interview(team, name, start, end, answer, certificate="示例001", record=None, pages=()):
    team.record(
        "interview_record",
        {
            "started_at": f"2026-05-04T{start}+08:00",
            "ended_at": f"2026-05-04T{end}+08:00",
            "interviewee": {"name": name},
            "officers": [{"officer": {"name": "甲", "certificate_no": certificate}}],
            "dialogue": [{"question": "请说明情况。", "answer": answer}],
            "pages": [
                {"page": number, "signature": {"how": "paper", "name": signer}}
                for number, signer in enumerate(pages, 1)
            ],
        },
        record,
    )


@pytest.fixture
def forms_known(world):
    """The interview's form, as if published."""
    with world.app.app_context(), transaction() as session:
        for form in forms.shipped_forms():
            if form["id"] in ("interview_record", "sampling_record") and form["version"] == 1:
                session.add(
                    TemplateVersion(
                        organization_id=world.organization,
                        id=form["id"],
                        version=1,
                        in_force_from="2021-07-15",
                        body=json.dumps(form),
                        published_at_ms=world.now_ms,
                        generation=1,
                        ledger_index=0,
                    )
                )


@pytest.mark.usefixtures("forms_known")
def test_interviews_of_one_officer_at_once_and_the_same_words_from_two_people(team):
    story = "废水经暗管排入雨水沟，时间为每天夜里十点以后，由我本人打开阀门，" * 3
    _interview(team, "张某", "09:00", "10:00", "我是厂长。" + story)
    _interview(team, "李某", "09:30", "10:30", "我是工人，" + story)
    team.push()

    assert team.doubts("INTERVIEWS_OVERLAP") == [("INTERVIEWS_OVERLAP", "officer")]
    [copied] = [one for one in team.whole().doubts if one.code == "RECORD_COPIED"]
    assert copied.evidence["raw"] == story


@pytest.mark.usefixtures("forms_known")
def test_one_interview_that_was_given_two_names(team):
    record = new_id()
    for name in ("张某", "李某"):
        _interview(team, name, "09:00", "10:00", "是", record=record)
    team.push()

    assert team.doubts("INTERVIEWS_OVERLAP") == [("INTERVIEWS_OVERLAP", "persons")]


@pytest.mark.usefixtures("forms_known")
def test_an_interview_that_was_saved_often_leaves_room_for_the_others(world, team):
    """The newest 200 interviews are compared, however many revisions each of them has."""
    story = "废水经暗管排入雨水沟，时间为每天夜里十点以后，由我本人打开阀门，" * 3
    before = Team(world)
    _interview(before, "张某", "07:00", "08:00", "我是厂长。" + story)
    chatty = new_id()
    for number in range(201):
        _interview(before, "王某", "08:00", "08:30", f"第{number}次修改。", record=chatty)
    before.push()

    _interview(team, "李某", "09:30", "10:30", "我是工人，" + story)
    team.push()

    assert team.doubts("RECORD_COPIED") == [("RECORD_COPIED", "passage")]


@pytest.mark.parametrize("party", ["same", "other", "none"])
def test_what_a_site_record_found_at_another_party_is_not_found_here_too(world, team, party):
    found = (
        "厂区东侧废水收集池未做防渗处理，池内积存黑色废液约三立方米，液面漂浮油污；池壁有一根直径约"
        "十厘米的软管通向雨水沟，管口潮湿，沟底有黑色沉积物；喷漆房活性炭箱门敞开，箱内未装填活性炭，"
        "风机停用，漆雾自窗口外溢；危险废物贮存间未上锁，门口无警示标志，内有废油漆桶二十余只，未设台账"
    )
    before = Team(world)
    other = new_id()
    with world.app.app_context(), transaction() as session:
        session.add(
            RegulatedEntity(
                id=other,
                organization_id=world.organization,
                name="另一示例厂",
                uscc="",
                address="",
                lat_e7=None,
                lon_e7=None,
                radius_cm=None,
            )
        )
    before.device.write(
        "inspection.opened",
        officer=before.officer,
        inspection=other,
        officers=world.officers,
        **({} if party == "none" else {"entity": world.entity if party == "same" else other}),
        title="上月检查",
    )
    before.inspection = other
    before.record("site_inspection_record", {"findings": "生产正常。" + found})
    before.push()

    team.record("site_inspection_record", {"findings": "已停产。" + found + "无人值守。"})
    team.push()

    told = [("RECORD_COPIED", "findings")] if party == "other" else []
    assert team.doubts("RECORD_COPIED") == told


def test_what_a_form_says_itself_is_no_copied_passage(world, team):
    printed = (
        "现场检查时，执法人员依次查看了生产车间、污染防治设施、危险废物贮存场所及各排放口，" * 4
    )
    form = next(one for one in forms.shipped_forms() if one["id"] == "site_inspection_record")
    with world.app.app_context(), transaction() as session:
        session.add(
            TemplateVersion(
                organization_id=world.organization,
                id="site_inspection_record",
                version=9,
                in_force_from="2021-07-15",
                body=json.dumps({**form, "hint": {"zh": printed, "en": ""}}),
                published_at_ms=world.now_ms,
                generation=1,
                ledger_index=0,
            )
        )
    before = Team(world)
    before.device.write(
        "inspection.opened",
        officer=before.officer,
        inspection=(other := new_id()),
        officers=world.officers,
        title="没有登记对象的检查",
    )
    before.inspection = other
    before.record("site_inspection_record", {"findings": printed + "一切正常。"})
    before.push()

    team.record("site_inspection_record", {"findings": "未见异常。" + printed})
    team.push()

    assert team.doubts("RECORD_COPIED") == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("李某", True),
        ("李某（签字）", True),
        ("张 某", False),
        ("张某（签名），2026年5月4日", False),
        ("现场负责人签名：张某 2026年5月4日", False),
        ("签名时间：2026年5月4日", False),
        ("当事人拒绝签名", False),
        ("已签", False),
        ("无", False),
    ],
)
@pytest.mark.usefixtures("forms_known")
def test_a_signature_in_words_is_compared_as_far_as_it_is_a_name(team, written, told):
    team.record("site_inspection_record", {"party_signature": written})
    team.record("sampling_record", {"party_signature": {"how": "paper", "name": "张某"}})
    team.push()

    assert team.doubts("SIGNERS_DIFFER") == ([("SIGNERS_DIFFER", "party")] if told else [])


@pytest.mark.parametrize(
    ("pages", "told"), [(("张某", "张 某"), False), (("张某", "李某"), True), ((), False)]
)
@pytest.mark.usefixtures("forms_known")
def test_each_page_of_an_interview_is_signed_by_the_person(team, pages, told):
    _interview(team, "张某", "09:00", "10:00", "是", pages=pages)
    team.push()

    assert team.doubts("SIGNERS_DIFFER") == ([("SIGNERS_DIFFER", "page")] if told else [])


@pytest.mark.usefixtures("forms_known")
def test_times_and_signers_of_the_papers_are_compared(team):
    team.record(
        "site_inspection_record",
        {
            "started_at": "2026-05-03T09:00+08:00",
            "ended_at": "2026-05-03T10:00+08:00",
            "party_signature": {"how": "paper", "name": "张某"},
        },
    )
    team.record(
        "sampling_record",
        {
            "sampled_at": "2026-05-04T09:00+08:00",
            "party_signature": {"how": "paper", "name": "李某"},
            "officers": [{"officer": {"name": "乙", "certificate_no": "别处001"}}],
        },
    )
    team.photo()
    team.push()

    assert sorted(team.doubts("RECORD_TIMES")) == [
        ("RECORD_TIMES", "far"),
        ("RECORD_TIMES", "photo"),
        ("RECORD_TIMES", "sample"),
    ]
    assert sorted(team.doubts("SIGNERS_DIFFER")) == [
        ("SIGNERS_DIFFER", "officer"),
        ("SIGNERS_DIFFER", "party"),
    ]
