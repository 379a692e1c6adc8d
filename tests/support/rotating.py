"""What an administrator does to change the ledger's key, over a world's real database."""

from server.db import reading, transaction
from server.operations import ledger, rotation
from tests.support.restoring import restart


def begin(world, reason="例行更换"):
    """``liuhen-admin ledger rotate``, and the processes started again."""
    rotation.prepare(world.settings)
    with world.app.app_context():
        with reading() as session:
            signer = rotation.open_both(world.settings, session)
        with transaction() as session:
            rotation.begin(session, signer, reason=reason, now_ms=world.now_ms)
    restart(world)


def finish(world, reason="并行期满"):
    """``liuhen-admin ledger rotate --finish``, and the processes started again."""
    with world.app.app_context():
        with reading() as session:
            signer = rotation.open_both(world.settings, session)
        with transaction() as session:
            rotation.finish(session, signer, reason=reason, now_ms=world.now_ms)
    rotation.retire(world.settings, signer)
    restart(world)


def grow(world):
    with world.app.app_context(), transaction() as session:
        ledger.append(
            session, "policy", actor={"server": "t"}, subject={"n": 1}, now_ms=world.now_ms
        )
