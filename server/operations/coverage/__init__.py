"""The whole process on record (全过程记录): which steps a visit shows, and its gaps."""

from server.operations.coverage.clocks import DeviceClocks
from server.operations.coverage.core import Coverage, Gap, Marked, Recorded, Span, StepCover
from server.operations.coverage.gather import Paper, Shot, Visit, read_papers, read_visit

__all__ = [
    "Coverage",
    "DeviceClocks",
    "Gap",
    "Marked",
    "Paper",
    "Recorded",
    "Shot",
    "Span",
    "StepCover",
    "Visit",
    "read_papers",
    "read_visit",
]
