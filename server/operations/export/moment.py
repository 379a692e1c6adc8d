"""The moment that a package shows: a size of the ledger, fixed by a signed checkpoint."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The ledger ``origin`` with its first ``size`` leaves, exported at ``exported_at_ms``.

    ``size`` does not count the package's own ``export`` leaf (docs/evidence.md §8).
    ``checkpoint`` is the signed note over exactly that size. ``redacted`` packages show no
    field that a form calls sensitive, and of pictures their redacted copies.
    """

    origin: str
    generation: int
    size: int
    checkpoint: str
    exported_at_ms: int
    redacted: bool = False
