"""The database schema, step by step; ``upgrade`` brings any older one up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Apply every migration that ``connection``'s database lacks."""
    command.upgrade(configuration(connection), "head")


def configuration(connection: Connection) -> Config:
    """The Alembic configuration for one open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
