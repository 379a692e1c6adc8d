"""The whole process on record (全过程记录): which steps a visit shows, and its gaps."""

from server.operations.coverage.bounds import Odd
from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import (
    Announced,
    Coverage,
    Gap,
    Marked,
    Recorded,
    Span,
    StepCover,
)
from server.operations.coverage.filmed import Shot
from server.operations.coverage.gather import Visit, read_visit
from server.operations.coverage.papers import Paper, read_papers

__all__ = [
    "Announced",
    "Coverage",
    "DeviceClocks",
    "Gap",
    "Marked",
    "Odd",
    "Paper",
    "Recorded",
    "Shot",
    "Span",
    "StepCover",
    "Visit",
    "read_papers",
    "read_visit",
]
