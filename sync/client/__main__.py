"""``python -m sync.client`` is ``liuhen``."""

from sync.client.cli import main

main()
