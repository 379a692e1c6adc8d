"""What the pages of a package share: their templates, and texts in both languages."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from media.findings import words
from sync import catalogue


def moment_text(at_ms: int) -> str:
    """A time to the second in the zone that papers use, with the zone."""
    return words.moment(at_ms)


def make_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        both=both,
        beside=side_by_side,
        moment=moment_text,
    )
    return environment


def texts(key: str) -> dict[str, str]:
    """A text of the catalogue by language."""
    return {lang: catalogue.text(key, lang) for lang in catalogue.LANGUAGES}


def both(key: str, **values: object) -> Markup:
    """A text of the catalogue in Chinese with the English one small beside it."""
    if not values:
        return _label(key)
    return side_by_side(*(catalogue.text(key, lang, **values) for lang in ("zh", "en")))


@cache
def _label(key: str) -> Markup:
    return side_by_side(*(catalogue.text(key, lang) for lang in ("zh", "en")))


def side_by_side(zh: str, en: str) -> Markup:
    """Two texts that say the same; one where they are equal."""
    if zh == en:
        return escape(zh)
    return Markup('{} <span class="en" lang="en">{}</span>').format(zh, en)
