"""What a program says to its database, transaction by transaction."""

from contextlib import contextmanager

from sqlalchemy import event

from server.db import db


@contextmanager
def spoken(app):
    """A list that grows by one list of SQL texts for each transaction in this block."""
    said = []

    def begin(connection):
        connection.info["said"] = []
        said.append(connection.info["said"])

    def speak(connection, _cursor, statement, *_more):
        connection.info.get("said", []).append(statement)

    with app.app_context():
        engine = db.engine
    heard = (("begin", begin), ("before_cursor_execute", speak))
    for name, listener in heard:
        event.listen(engine, name, listener)
    try:
        yield said
    finally:
        for name, listener in heard:
            event.remove(engine, name, listener)


def under_the_head(transaction):
    """The statements of one transaction from where it took the ledger's head."""
    for place, statement in enumerate(transaction):
        if "FROM ledger_head" in statement and statement.startswith("SELECT"):
            return transaction[place + 1 :]
    return []
