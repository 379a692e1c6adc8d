"""Verifies a package offline: ten steps, each claim answered PASS, FAIL or NOT CHECKED.

Every step runs even after an earlier one failed, so that one damaged file does
not hide the rest (docs/evidence.md §8). It never says "authentic": it says that
these bytes, this key, this order and this interval have stood unaltered since.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .note import VerifierKey
from .package import INDEX
from .policy import Policy
from .verifier_bag import check_bag, check_container
from .verifier_brought import check_brought
from .verifier_case import check_case, read_index
from .verifier_claims import STEPS, Book, Result
from .verifier_findings import check_findings
from .verifier_journal import Signatures, check_journal
from .verifier_ledger import check_ledger, check_trust
from .verifier_outside import check_outside
from .verifier_paper import check_papers
from .verifier_signatures import fast, pure
from .verifier_source import Source, measure, open_source
from .verifier_times import check_duties, check_receipts, check_times


@dataclass(frozen=True)
class Options:
    """What the user asks for.

    Attributes:
        ledger_keys: verifier keys of the bureau's ledger, from outside the package.
        all_signatures: check every signature even without ``cryptography``.
        pure: do not use ``cryptography`` even if it is installed.
        policy: whose cosignatures count, from outside the package.
        tsa_roots: PEM of time-stamping authorities' roots, from outside the package.
        checkpoints: paths of notes and packages that hold checkpoints from elsewhere.
        tiles: a folder with the ledger's tiles, which tell its root at every size.
        findings: let the rules compute the findings again, which takes longer.
        papers: journal heads that stand on papers, as a QR code or typed.
    """

    ledger_keys: Tuple[VerifierKey, ...] = ()
    all_signatures: bool = False
    pure: bool = False
    policy: Optional[Policy] = None
    tsa_roots: Tuple[str, ...] = ()
    checkpoints: Tuple[str, ...] = ()
    tiles: Optional[str] = None
    findings: bool = False
    papers: Tuple[str, ...] = ()


def verify_package(path: str, options: Options = Options()) -> Result:
    """Verify the package at ``path``, a ZIP or the folder it was unpacked into.

    Raises:
        PackageUnusable: if there is nothing there that could be a package.
    """
    return verify(open_source(path), options)


def verify(source: Source, options: Options = Options()) -> Result:
    """Verify an opened package."""
    book = {step: Book(step) for step in STEPS}
    files = measure(source)
    check_container(book["container"], source, files)
    check_bag(book["bag"], source, files)
    trust = check_trust(book["trust"], source, files, options.ledger_keys)
    index, reason = read_index(source)
    ledger = check_ledger(book["ledger"], source, trust, index)
    journal = check_journal(book["journal"], source, trust, ledger, index, _signatures(options))
    check_receipts(book["receipts"], source, trust, journal)
    outside = book["outside"]
    stamped = check_outside(
        outside, source, trust, ledger, journal, options.policy, options.tsa_roots
    )
    check_brought(outside, source, trust, journal, paths=options.checkpoints, tiles=options.tiles)
    if index is None:
        book["case"].failed("case.index_unreadable", file=INDEX, reason=reason)
        book["time"].not_checked("time.no_index")
        book["duties"].not_checked("duties.no_index")
    else:
        check_case(book["case"], source, files, index, journal, ledger)
        check_findings(book["case"], source, index, ledger, again=options.findings)
        check_times(book["time"], trust, ledger, index, journal, stamped)
        check_duties(book["duties"], ledger, index, journal)
    check_papers(outside, journal, options.papers)
    return Result(tuple(claim for step in STEPS for claim in book[step].claims))


def _signatures(options: Options) -> Signatures:
    make = None if options.pure else fast()
    if make is not None:
        return Signatures(make, every=True)
    return Signatures(pure, every=options.all_signatures)
