"""How values are written on pages: times in Beijing time, sizes, digests, places, words."""

from markupsafe import Markup, escape

from media.findings import words
from media.findings.model import Finding
from server.operations.doubts import Doubt
from sync import catalogue

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_DAY_S, _HOUR_S, _MINUTE_S = 86_400, 3600, 60


def text(key: str, lang: str, **values: object) -> str:
    """A text of the console's own area."""
    return catalogue.text(f"console.{key}", lang, **values)


def word(area: str, value: str, lang: str) -> str:
    """The word for one value of an enumeration; an unknown value is shown as it is.

    Devices of a newer version may send acts and methods that this server does
    not know yet.
    """
    key = f"console.{area}.{value}"
    return catalogue.text(key, lang) if catalogue.has(key) else value


def reason(code: str, lang: str) -> str:
    """The sentence for the code of an error or of a quarantine."""
    for key in (f"console.reason.{code}", code, f"errors.{code}"):
        if catalogue.has(key):
            return catalogue.text(key, lang)
    return code


def at(moment_ms: int) -> str:
    """Beijing time to the second, ``2026-05-04 09:02:03``.

    Devices and files may claim any time, also one that :mod:`datetime` cannot hold.
    """
    return words.moment(moment_ms).rpartition(" ")[0]


def time(moment_ms: int) -> Markup:
    """The same as an element that carries the moment in UTC for machines."""
    day, clock, zone = words.moment(moment_ms, 0).split(" ")
    utc = f"{day}T{clock}.{moment_ms % 1000:03d}{zone}"
    return Markup('<time datetime="{}">{}</time>').format(utc, at(moment_ms))


def span(lo_ms: int, hi_ms: int) -> str:
    """A time or, where its ends differ to the second, both ends."""
    first, last = at(lo_ms), at(hi_ms)
    if first == last:
        return first
    day, _, clock = last.partition(" ")
    return f"{first} – {clock if first.startswith(f'{day} ') else last}"


def difference(difference_ms: int) -> str:
    """A signed difference: ``+0.4 s``, ``−2 min 03 s``, ``+8 h 00 min``."""
    size = abs(difference_ms)
    # What rounds to nothing has no direction.
    sign = "−" if difference_ms < 0 and size >= 50 else "+"
    if size < 10_000:
        return f"{sign}{size / 1000:.1f} s"
    seconds = size // 1000
    if seconds < _HOUR_S:
        return f"{sign}{seconds // 60} min {seconds % 60:02d} s"
    if seconds < _DAY_S:
        return f"{sign}{seconds // _HOUR_S} h {seconds % _HOUR_S // 60:02d} min"
    return f"{sign}{seconds // _DAY_S} d {seconds % _DAY_S // _HOUR_S} h"


def days(first: str | None, last: str | None, lang: str) -> str:
    """From which day to which, either of them open."""
    if first and last:
        return f"{first} – {last}"
    if first:
        return text("days.from", lang, first=first)
    return text("days.to", lang, last=last) if last else text("days.always", lang)


def age(age_ms: int, lang: str) -> str:
    """How long ago, in the largest whole unit."""
    seconds = max(0, age_ms // 1000)
    for unit, size in (("days", _DAY_S), ("hours", _HOUR_S), ("minutes", _MINUTE_S)):
        if seconds >= size:
            return text(f"age.{unit}", lang, number=seconds // size)
    return text("age.now", lang)


def size(count: int) -> str:
    """A byte count in the largest unit that keeps it at least 1."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def digest(hexadecimal: str) -> Markup:
    """A full digest in groups of eight, so that two can be compared by eye and line-broken."""
    groups = (hexadecimal[start : start + 8] for start in range(0, len(hexadecimal), 8))
    inner = Markup("<wbr>").join(escape(group) for group in groups)
    return Markup('<code class="digest">{}</code>').format(inner)


def short(hexadecimal: str) -> Markup:
    """The first twelve characters, with the whole in the title."""
    return Markup('<code title="{}">{}…</code>').format(hexadecimal, hexadecimal[:12])


def degrees(value_e7: int) -> str:
    return words.degrees(value_e7)


def metres(centimetres: int) -> str:
    return f"{centimetres / 100:.0f} m"


def doubt_title(doubt: Doubt, lang: str) -> str:
    """The name of a finding."""
    key = words.title_key(doubt.code)
    return catalogue.text(key, lang) if catalogue.has(key) else doubt.code


def doubt_sentence(doubt: Doubt, lang: str) -> str:
    """What was compared and what came out."""
    finding = Finding(
        code=doubt.code,
        severity=doubt.severity,
        evidence=doubt.evidence,
        rule_version=doubt.rule_version,
    )
    key = words.sentence_key(finding)
    if not catalogue.has(key):
        return str(doubt.evidence)
    return catalogue.text(key, lang, **words.placeholders(finding))


def severity(value: str, lang: str) -> str:
    return catalogue.text(f"findings.severity.{value}", lang)
