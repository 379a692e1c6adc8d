"""Joins the verifier into one file of Python's standard library, readable and always the same.

The modules' source text is embedded unchanged, so that who distrusts the single
file can compare it with the project's repository line by line.
"""

from __future__ import annotations

import pkgutil
from typing import Mapping

#: In reading order: the formats first, then the steps, then the command line.
MODULES = (
    "errors",
    "encoding",
    "canonical",
    "line",
    "acts",
    "p256",
    "ed25519",
    "merkle",
    "note",
    "checkpoint",
    "succession",
    "cosignature",
    "policy",
    "fork",
    "receipt",
    "interval",
    "der",
    "tsp",
    "stamp_event",
    "zipformat",
    "zipreading",
    "bag",
    "package",
    "records",
    "record_reading",
    "verifier_claims",
    "verifier_volumes",
    "verifier_source",
    "verifier_signatures",
    "verifier_sm3",
    "verifier_bag",
    "verifier_ledger",
    "verifier_chain",
    "verifier_journal",
    "verifier_copies",
    "verifier_case",
    "verifier_findings",
    "verifier_times",
    "verifier_witness",
    "verifier_stamps",
    "verifier_outside",
    "verifier_paper",
    "verifier_brought",
    "verifier",
    "foreign_bag",
    "verify_fork",
    "texts",
    "verify_cli",
)
_TEXTS = "verify.json"

_HEAD = """#!/usr/bin/env python3
# 留痕证据包离线核验程序 / Offline verifier of Liuhen evidence packages.
#
#     python3 -I liuhen_verify.py PACKAGE.zip [--lang en] [--json] [--key KEY]
#
# 只用 Python 3.8 及以上的标准库，不联网，只写临时文件（供 openssl 读取时间戳）。
# Python 3.8 or newer, standard library only; no network; writes nothing but
# temporary files, from which openssl reads time stamps.
#
# Below stand the modules of "sync/evidence" of the Liuhen project, unchanged,
# each as text, then the loader that runs them.

import importlib.abc
import importlib.util
import sys

SOURCES = {}
DATA = {}
"""

_TAIL = '''

class Loader(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the modules above from their text; nothing else."""

    def find_spec(self, name, path=None, target=None):
        if name not in SOURCES:
            return None
        package = any(other.startswith(name + ".") for other in SOURCES)
        spec = importlib.util.spec_from_loader(name, self, is_package=package)
        # pkgutil.get_data joins a file's name to the folder of this one.
        spec.origin, spec.has_location = name.replace(".", "/") + "/__init__.py", True
        return spec

    def exec_module(self, module):
        code = compile(SOURCES[module.__name__], module.__name__ + ".py", "exec")
        exec(code, module.__dict__)

    def get_data(self, path):
        return DATA[path.replace("\\\\", "/")].encode("utf-8")


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, Loader())
    from sync.evidence.verify_cli import main

    sys.exit(main())
'''


def build(more: Mapping[str, str] = {}) -> bytes:
    """The text of ``liuhen_verify.py``, the same bytes on every machine.

    Args:
        more: sources by module name that the verifier uses where they are there.
    """
    parts = [_HEAD]
    for package in ("sync", "sync.evidence", "sync.catalogue"):
        parts.append("SOURCES[%r] = ''\n" % package)
    for name in MODULES:
        source = _read("sync.evidence", name + ".py")
        parts.append("\n# %s\nSOURCES[%r] = %s\n" % (_rule(name), "sync.evidence." + name, source))
    for name, text in more.items():
        parts.append("\n# %s\nSOURCES[%r] = %s\n" % (_rule(name), name, _literal(name, text)))
    texts = _read("sync.catalogue", _TEXTS)
    parts.append("\n# %s\nDATA[%r] = %s\n" % (_rule(_TEXTS), "sync/catalogue/" + _TEXTS, texts))
    parts.append(_TAIL)
    return "".join(parts).encode("utf-8")


def _read(package: str, name: str) -> str:
    """A file of ours as a raw string literal."""
    text = (pkgutil.get_data(package, name) or b"").decode("utf-8").replace("\r\n", "\n")
    if not text:
        raise ValueError(name + " is not there")
    return _literal(name, text)


def _literal(name: str, text: str) -> str:
    if "'''" in text or text.endswith("\\"):
        raise ValueError(name + " cannot stand in a raw string")
    return "r'''" + text + "'''"


def _rule(name: str) -> str:
    return ("---- %s " % name).ljust(90, "-")
