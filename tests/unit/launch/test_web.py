"""What a connection holds that nobody has read is lost with the process, so it is little."""

import socket

from server.launch.web import limit_unread

_MIB = 1 << 20


def test_a_sender_whom_nobody_reads_is_soon_held_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        limit_unread([listener])
        with socket.create_connection(listener.getsockname()) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
            accepted, _ = listener.accept()
            with accepted:
                sent = _pour(sender)

    assert _MIB < sent < 6 * _MIB


def _pour(sender):
    sender.settimeout(0.5)
    sent, block = 0, bytes(64 << 10)
    try:
        while sent < 64 * _MIB:
            sent += sender.send(block)
    except TimeoutError:
        pass
    return sent
