"""A loopback proxy before a store that passes bytes on to it as slowly as wanted."""

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

_STEP = 64 << 10


class SlowStore:
    """Listens on loopback; what goes to ``endpoint`` goes at ``bytes_per_s``, answers at once."""

    def __init__(self, endpoint, *, bytes_per_s):
        place = urlsplit(endpoint)
        self._upstream = place.hostname, place.port
        self._bytes_per_s = bytes_per_s

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self._listener.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                asking, _ = self._listener.accept()
                try:
                    store = socket.create_connection(self._upstream)
                except OSError:
                    # It has been killed: nobody answers.
                    asking.close()
                    continue
                for source, target, pause_s in (
                    (asking, store, 1 / self._bytes_per_s),
                    (store, asking, 0),
                ):
                    threading.Thread(
                        target=_carry, args=(source, target, pause_s), daemon=True
                    ).start()


def _carry(source, target, pause_s):
    with contextlib.suppress(OSError):
        while data := source.recv(_STEP):
            time.sleep(len(data) * pause_s)
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
            end.close()
