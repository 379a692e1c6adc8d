"""Runs over the store in sentences, as the command prints and the page shows them."""

from collections.abc import Mapping
from typing import Any

from sync import catalogue


def summary(report: Mapping[str, Any], lang: str) -> list[str]:
    """What a kept report says, without its doubts."""
    told = [
        catalogue.text(
            f"store.{report['kind']}",
            lang,
            objects=report["objects"],
            megabytes=report["bytes"] // 1_000_000,
            doubts=report["doubt_count"],
        )
    ]
    if any(report["done"].values()):
        name = "store.tidied" if report["repair"] else "store.to_tidy"
        told.append(catalogue.text(name, lang, **report["done"]))
    if any(report["beside"].values()):
        told.append(catalogue.text("store.beside", lang, **report["beside"]))
    if report["adopted_count"]:
        told.append(catalogue.text("store.adopted", lang, count=report["adopted_count"]))
    return told


def sentence(doubt: Mapping[str, str], lang: str) -> str:
    """One doubt of a kept report."""
    return catalogue.text(f"store.doubt.{doubt['kind']}", lang, object=doubt["key"])
