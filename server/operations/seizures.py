"""Whether a record tells of a measure that must be recorded without interruption.

查封, 扣押 and 强制拆除, unless the record denies or lifts them. A denial is bound to the word
itself: 无证设备查封 and 没收并扣押 deny something else or nothing. What is not understood
counts as the measure; a person sees the finding and the text.
"""

import re

#: Blanks within a word come from forms that set their entries in columns.
_WORD = r"(?:查\s?封|扣\s?押|强制\s?拆除)"
#: A word, and those that stand beside it under the same denial: 未查封、扣押.
_LIST = rf"{_WORD}(?:(?:、|和|与|或者?|及|以及|/)?{_WORD})*"
_NOT = (
    r"(?:未曾?|没有?|无法?|尚未|并未|(?<!不得)(?<!不能)(?<!不可)不"
    r"|不能|不得|不宜|不应|不具备|不符合|不涉及|免)"
)
#: What may stand between the denial and the word without turning it to something else.
_DOING = (
    r"(?:予以?|曾|再|须|需要?|必要?|必须|被|经|作出?|做出?|采取|进行|实施|执行|实行|发生|存在|涉及"
    r"|依法|当场|现场|就地|立即|对其|对之|任何|上述|该|出现|有)"
)
#: 未对生产设备实施查封: an object may stand between them where a verb ties the word to it.
_OBJECT = r"(?:对|将|把)[^，。；、,;\n]{1,12}?(?:予以|采取|进行|实施|执行|作出)(?:了|过)?"
_LIFTED = r"(?:解除|撤销|取消|终止|期满)(?:了|对[^，。；、,;\n]{1,12}的)?"
#: 查封、扣押：无
_NONE_AFTER = (
    r"(?:措施|情况|情形|物品|财物|设施|清单)*\s?[:：]\s?(?:无|没有|否|未|不涉及|不适用|/|—)"
    r"(?=\s|$|[，。；、,;.)）])"
)
_DENIED = re.compile(rf"{_NOT}{_DOING}*(?:{_OBJECT})?{_LIST}|{_LIFTED}{_LIST}|{_LIST}{_NONE_AFTER}")
_MEASURE = re.compile(_WORD)


def tells_of_seizure(text: str) -> bool:
    """Whether ``text`` says that something was sealed, seized or torn down."""
    return _MEASURE.search(_DENIED.sub("", text)) is not None
