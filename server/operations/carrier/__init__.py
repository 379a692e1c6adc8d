"""Taking carriers in and answering them, for devices that may use no network (protocol.md §5).

What is in a carrier goes through the same doors as over HTTP: lines through
``push``, media through ``uploads``. Every step may be repeated by anybody.
"""

from server.operations.carrier.opening import Counter, Opened, open_carrier
from server.operations.carrier.replying import write_reply
from server.operations.carrier.shelf import Shelf
from server.operations.carrier.taking import Taken, take_carrier

__all__ = ["Counter", "Opened", "Shelf", "Taken", "open_carrier", "take_carrier", "write_reply"]
