"""``python -m server.cli`` is ``liuhen-admin``."""

from server.cli import main

main()
