"""``python -m sync.witness``, and what the single-file program runs."""

import sys

from sync.witness.cli import main

sys.exit(main())
