"""Findings: facts to claims, claims to doubts; pure functions without clock, disk or network."""

from __future__ import annotations

from .claims import claims
from .model import RULE_VERSION, Context, Finding, Hints
from .rules import compare, findings_from, to_json, verdict, worst
from .stored import context_from_json, context_to_json

__all__ = [
    "RULE_VERSION",
    "Context",
    "Finding",
    "Hints",
    "claims",
    "compare",
    "context_from_json",
    "context_to_json",
    "findings_from",
    "to_json",
    "verdict",
    "worst",
]
