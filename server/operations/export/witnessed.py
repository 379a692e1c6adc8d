"""What a package encloses of witnesses: the newest checkpoint that they cosigned, and whose count.

The package's own checkpoint was signed a moment ago and nobody outside has seen
it; that it begins with the witnessed one is in ``proofs/consistency.ndjson``.
"""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from server.operations import witnessing
from server.operations.export.moment import Moment
from server.operations.export.spool import Spool
from server.operations.witnessing import Witnessed
from sync.evidence import package
from sync.evidence.package import PackageFile
from sync.evidence.policy import Policy, format_policy


def read_witnessed(session: Session, moment: Moment, policy: Policy | None) -> Witnessed | None:
    """The newest witnessed checkpoint as the ledger held it at the moment of the package."""
    if policy is None:
        return None
    return witnessing.newest_witnessed(
        session, policy, generation=moment.generation, before=moment.size
    )


def witness_files(
    witnessed: Witnessed | None, policy: Policy | None, spool: Spool
) -> Iterator[PackageFile]:
    """The cosigned checkpoint and the policy; neither where nobody has cosigned."""
    if witnessed is None or policy is None:
        return
    yield spool.write(package.WITNESSED, [witnessed.note.encode()])
    yield spool.write(package.WITNESS_POLICY, [format_policy(policy)])
