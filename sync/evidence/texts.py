"""The verifier's sentences in Chinese and English, found in the package or in the single file."""

from __future__ import annotations

import json
import pkgutil
from typing import Mapping

LANGUAGES = ("zh", "en")


def load_texts() -> Mapping[str, Mapping[str, str]]:
    """All texts of the verifier by key."""
    data = pkgutil.get_data("sync.catalogue", "verify.json")
    texts: Mapping[str, Mapping[str, str]] = json.loads((data or b"").decode("utf-8"))
    return texts
