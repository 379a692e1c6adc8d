"""The application: settings in, a WSGI application out."""

from flask import Flask, Response
from sqlalchemy import text

from server import db as database
from server import errors, jobs
from server.api import register_api
from server.console import register_console
from server.db import db
from server.failures import ServerError
from server.field_app import register_field_app
from server.operations.generations import look_outside
from server.operations.installation import origin_of
from server.operations.media_checks import item_bytes_arrived, item_bytes_differed
from server.operations.uploads import after_stored, on_mismatch
from server.services import Services, install, open_services
from server.settings import Settings


class NotInstalled(ServerError):
    """The database has no ledger yet; ``liuhen-admin init`` makes one."""

    code = "server.not_installed"


def create_app(settings: Settings, *, services: Services | None = None) -> Flask:
    """Build the application over an installed database.

    ``services`` is given by tests that bring their own store or clock.

    Raises:
        NotInstalled: if the database has no ledger yet.
    """
    app = create_database_app(settings)
    if services is None:
        with app.app_context(), database.reading() as session:
            origin = origin_of(session)
        if origin is None:
            raise NotInstalled
        services = open_services(settings, origin=origin)
    install(app, services)
    with app.app_context():
        # Before the first entry: one appended after a rollback could never be undone.
        look_outside(services)
    jobs.install(app, settings)
    after_stored[:] = [item_bytes_arrived]
    on_mismatch[:] = [item_bytes_differed]
    register_api(app)
    register_console(app)
    register_field_app(app)
    # After flask-smorest, whose own handler would answer plain HTTP errors otherwise.
    errors.register(app)

    @app.get("/health")
    def health() -> Response:
        """Whether the process answers and the database can be read."""
        with database.reading() as session:
            session.execute(text("SELECT 1"))
        return Response("ok\n", content_type="text/plain; charset=utf-8")

    return app


def create_database_app(settings: Settings) -> Flask:
    """An application with nothing but the database: for migrations and the first start."""
    app = Flask("server", static_folder=None)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=None,
        JSON_AS_ASCII=False,
    )
    db.init_app(app)
    with app.app_context():
        database.configure_sqlite(db.engine)
    return app
