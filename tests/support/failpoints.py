"""The death of a process at a named moment of a transaction, played inside one process."""

from contextlib import contextmanager
from unittest.mock import patch

from sqlalchemy.orm import Session

from server.db import db

BEFORE_COMMIT = "killed before COMMIT"
AFTER_COMMIT = "killed after COMMIT, before the reply"


class Killed(BaseException):
    """The process is gone; no handler of errors gets to see it."""


@contextmanager
def dies(app, moment, *, transactions=0):
    """Die in the block at ``moment`` of the commit after the first ``transactions``.

    The block is left as if the process had ended there. Yields a list that holds
    the moment once it has come.
    """
    left, came, commit = [transactions], [], Session.commit

    def deadly(session):
        if came or left[0]:
            left[0] -= 1
            return commit(session)
        came.append(moment)
        if moment == AFTER_COMMIT:
            commit(session)
        raise Killed(moment)

    try:
        with patch.object(Session, "commit", deadly):
            yield came
    except Killed:
        with app.app_context():
            # What a dead process held, its database lets go.
            db.session.remove()
            db.engine.dispose()
