"""Which wordings of a record tell of a measure that must be recorded without interruption."""

import pytest

from server.operations.seizures import tells_of_seizure

TOLD = [
    "对无证设备查封",
    "对未验收设备查封",
    "无证车辆扣押1台",
    "没收并扣押",
    "依法不予处罚但扣押",
    "未按规定办理，当场查封",
    "查封扣押",
    "对该设施无手续，予以查封",
    "责令停产，无需当事人到场查封",
    "已解除劳动合同的设备查封",
    "没有异议，查封",
    "未发现异常后查封设备",
    "无证排放设备查封",
    "不合格产品扣押",
    "当场对未批先建设备予以查封",
    "无许可证，扣押其设备",
    "依法实施查 封",
    "未批先建，强制拆除",
    "不得不查封",
    "未查封厂房，扣押设备2台",
    "责令改正\n查封设备1台",
    "采样：无\n查封设备1台",
    "未取得许可证予以查封",
    "对未依法报批的设备实施查封",
    "未经许可处置危险废物的车辆予以扣押",
    "不正常运行污染防治设施，查封其设施",
    "查封：1台；扣押：无",
    "当事人未签名，查封",
    "解除先行登记保存后扣押",
    "对无主危险废物扣押",
    "没有排污许可证的设备查封",
    "未封存，已扣押",
    "不能说明来源的物品扣押",
    "扣押：无证车辆1台",
]
DENIED = [
    "未查封",
    "不予查封",
    "没有扣押",
    "无查封扣押",
    "未予查封、扣押，责令改正",
    "解除扣押",
    "不予查封或扣押",
    "责令停止排放",
    "未采取查封、扣押措施",
    "未实施查封",
    "没有采取查封扣押",
    "无需查封",
    "不需要扣押",
    "暂不查封",
    "尚未查封",
    "未对生产设备实施查封",
    "未对其查封",
    "查封、扣押：无",
    "查封扣押情况：无。",
    "解除对该设备的查封",
    "撤销查封决定",
    "未依法查封",
    "未当场扣押",
    "不再扣押",
    "先行登记保存",
    "",
    "无扣押物品",
    "不符合查封条件",
    "未强制拆除",
    "没有对设备进行扣押",
    "查封：无；扣押：无",
    "不得查封",
    "未予以查封",
    "免予查封",
    "未查封或者扣押",
    "不涉及查封扣押",
    "无法查封",
]


@pytest.mark.parametrize("text", TOLD)
def test_a_measure_is_read_as_one_whatever_else_is_denied_beside_it(text):
    assert tells_of_seizure(text)


@pytest.mark.parametrize("text", DENIED)
def test_a_measure_that_is_denied_or_lifted_is_none(text):
    assert not tells_of_seizure(text)
