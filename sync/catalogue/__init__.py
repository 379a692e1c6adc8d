"""The one catalogue of user-facing text: Chinese first, English beside it.

Each area is a JSON file of keys with a ``zh`` and an ``en`` text, so that the
server, the device clients and the verifier say the same words.
"""

import json
from functools import cache
from importlib import resources

LANGUAGES = ("zh", "en")
DEFAULT_LANGUAGE = "zh"


@cache
def area(name: str) -> dict[str, dict[str, str]]:
    """All texts of one area, by key.

    Raises:
        KeyError: if there is no such area.
    """
    try:
        text = resources.files(__package__).joinpath(f"{name}.json").read_text("utf-8")
    except FileNotFoundError as error:
        raise KeyError(name) from error
    texts: dict[str, dict[str, str]] = json.loads(text)
    return texts


def text(key: str, lang: str = DEFAULT_LANGUAGE, **values: object) -> str:
    """The text of ``key`` (its area is the part before the first dot) in ``lang``.

    Raises:
        KeyError: for an unknown key: a missing text is a fault, never an empty space.
    """
    template = area(key.partition(".")[0])[key][lang]
    return template.format(**values) if values else template


def has(key: str) -> bool:
    """Whether the catalogue knows ``key``."""
    try:
        return key in area(key.partition(".")[0])
    except KeyError:
        return False
