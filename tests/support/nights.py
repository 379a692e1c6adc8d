"""The nights of one worker, as a process of its own: ``python -m tests.support.nights``.

It says ``ready``, waits for a line on standard input, does what is due and says ``done``.
With ``anyway`` it looks after the store whether that is due or not, as an administrator would.
"""

import logging
import os
import sys

from server.app import create_app
from server.jobs.nightly import Nights
from server.operations import storekeeping, uploads
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
        print("ready", flush=True)
        sys.stdin.readline()
        if "anyway" in sys.argv:
            storekeeping.sweep(uploads.open_desk(app), repair=True)
            list(storekeeping.rehash(services()))
        else:
            nights.perform()
        print("done", flush=True)


if __name__ == "__main__":
    main()
