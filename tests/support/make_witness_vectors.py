"""Writes fork.json and submission.json in tests/vectors, run as a module by hand.

What a second implementation of a device or a witness must judge alike
(docs/evidence.md §5); they change only when the format does.
"""

import json
from pathlib import Path

from sync.evidence import merkle
from sync.evidence.fork import ForkProof, OtherLeaf, OtherStart, format_fork
from sync.witness.submission import Submission, format_submission
from tests.support.witnessing import SmallLedger

FOLDER = Path(__file__).parent.parent / "vectors"
_ENTRIES = "abcdefg"


def main() -> None:
    kept = SmallLedger(*_ENTRIES[:5])
    _write("fork.json", {"key": kept.vkey, "cases": list(_forks(kept))})
    _write("submission.json", {"key": kept.vkey, "cases": list(_submissions(kept))})


def _forks(kept):
    """Proofs with what each proves, or ``""`` where it proves nothing."""
    other, longer = kept.fork(2, *"xyz"), kept.fork(2, *"xyzuv")
    honest = SmallLedger(*_ENTRIES)
    yield _fork("two roots for one size", kept, other, basis="roots")
    for size in range(3, 6):
        part = kept.fork(size)
        yield _fork(
            f"a longer tree begins otherwise than {size} leaves",
            part,
            longer,
            start=_start(longer, size),
            basis="start",
        )
    yield _fork("the larger tree comes first", longer, kept, start=_start(longer, 5), basis="start")
    yield _fork("two leaves in one place", kept, longer, leaf=_leaf(kept, longer, 3), basis="leaf")
    yield _fork("one checkpoint twice", kept, kept)
    yield _fork("nothing that shows it", kept, longer)
    yield _fork("a ledger that only grew", kept, honest, start=_start(honest, 5))
    yield _fork("a path that does not hold", kept, honest, start=_start(longer, 5))
    yield _fork("one leaf twice", kept, honest, leaf=_leaf(kept, honest, 3))
    yield _fork("another key", kept, SmallLedger(*"vwxyz", seed=12))
    yield _fork("another ledger", kept, SmallLedger(*"vwxyz", origin="other.example/ledger"))


def _fork(name, first, second, *, basis="", **shown):
    proof = format_fork(ForkProof(first.note(), second.note(), **shown))
    return {"name": name, "proof": json.loads(proof), "basis": basis}


def _start(ledger, size):
    whole = len(ledger.entries)
    path = merkle.consistency_proof(size, whole, ledger.node)
    return OtherStart(merkle.root(size, ledger.node), tuple(path))


def _leaf(first, second, index):
    return OtherLeaf(index, _included(first, index), _included(second, index))


def _included(ledger, index):
    path = merkle.inclusion_proof(len(ledger.entries), index, ledger.node)
    return ledger.entries[index].ljust(32, "\0").encode(), tuple(path)


def _submissions(kept):
    """What a witness that knows 3 leaves answers; ``status`` as in C2SP tlog-witness."""
    seen, other = kept.fork(3), kept.fork(2, *"xyz")
    yield {"name": "first sight", "knows": 0, "body": _text(seen.submission(0)), "status": 200}
    for name, body, status in (
        ("it has grown", kept.submission(3), 200),
        ("nothing is new", seen.submission(3), 200),
        ("another start", kept.submission(0), 409),
        ("another root for the known size", other.fork(3).submission(3), 409),
        ("another history", other.submission(3), 422),
        ("no proof", format_submission(Submission(3, (), kept.note())), 422),
        ("a start beyond the checkpoint", kept.submission(5, 3), 400),
        ("another key", SmallLedger(*_ENTRIES, seed=12).submission(3), 403),
        ("another ledger", SmallLedger("a", origin="other.example/ledger").submission(0), 404),
    ):
        yield {"name": name, "knows": 3, "body": _text(body), "status": status}


def _text(body):
    return body.decode()


def _write(name, data):
    text = json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
