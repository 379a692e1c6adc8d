"""Joins ``verify/verify.html``: the verifier in one page, readable and always the same.

The modules of the folder ``web`` stand in it unchanged. The page may load nothing:
its policy allows the one script and the one style inside, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pkgutil

#: In reading order: bytes and formats first, then the steps, then what is seen.
MODULES = (
    "bytes",
    "digests",
    "canonical",
    "signatures",
    "merkle",
    "notes",
    "zip",
    "source",
    "records",
    "line",
    "succession",
    "claims",
    "ledger",
    "journal",
    "findings",
    "case",
    "verify",
    "page",
)
_TEXTS = "verify.json"


def build() -> bytes:
    """The bytes of ``verify.html``, the same on every machine."""
    style = "\n" + _read("sync.evidence", "web/page.css")
    script = _script()
    page = _read("sync.evidence", "web/page.html")
    for mark, text in (
        ("@STYLE_HASH@", _digest(style)),
        ("@SCRIPT_HASH@", _digest(script)),
        ("@STYLE@", style),
        ("@SCRIPT@", script),
    ):
        page = page.replace(mark, text, 1)
    return page.encode("utf-8")


def _script() -> str:
    texts = json.loads(_read("sync.catalogue", _TEXTS))
    rows = ['"use strict";', "(() => {"]
    for name in MODULES:
        rows += ["", "// %s" % ("---- %s.js " % name).ljust(90, "-"), ""]
        rows.append(_read("sync.evidence", "web/%s.js" % name).rstrip("\n"))
        if name == "claims":
            spelled = json.dumps(texts, ensure_ascii=False, indent=1, sort_keys=True)
            rows += ["", "const TEXTS = %s;" % spelled.replace("<", "\\u003c")]
    script = "\n".join(["", *rows, "})();", ""])
    if "</" in script or "<!--" in script or "@" + "STYLE" in script:
        raise ValueError("a text that cannot stand inside a script element")
    return script


def _digest(text: str) -> str:
    """How a content security policy names an inline element."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return "sha256-" + base64.b64encode(digest).decode("ascii")


def _read(package: str, name: str) -> str:
    text = (pkgutil.get_data(package, name) or b"").decode("utf-8")
    return text.replace("\r\n", "\n")
