"""The WSGI application, as gunicorn and other servers import it."""

import os

from server.app import create_app
from server.settings import Settings

application = create_app(Settings.from_env(os.environ))
