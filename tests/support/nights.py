"""The nights of one worker, as a process of its own: ``python -m tests.support.nights``.

It says ``ready``, waits for a line on standard input, does what is due and says ``done``.
"""

import logging
import os
import sys

from server.app import create_app
from server.jobs.nightly import Nights
from server.operations import uploads
from server.services import services
from server.settings import Settings


def main():
    logging.basicConfig(level=logging.WARNING)
    settings = Settings.from_env(os.environ)
    app = create_app(settings)
    with app.app_context():
        nights = Nights(uploads.open_desk(app), settings)
        # The store is tried out before the race begins.
        services().store.traits()
        print("ready", nights.are_due(), flush=True)
        sys.stdin.readline()
        nights.perform()
        print("done", nights.are_due(), flush=True)


if __name__ == "__main__":
    main()
