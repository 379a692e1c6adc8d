"""What the web server may hold: few unread bytes of a connection, as many files as allowed."""

import resource
import socket

from server.launch.web import limit_unread, open_as_many_files_as_allowed

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


def test_the_web_server_opens_as_many_files_as_it_may():
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        open_as_many_files_as_allowed()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def _pour(sender):
    sender.settimeout(0.5)
    sent, block = 0, bytes(64 << 10)
    try:
        while sent < 64 * _MIB:
            sent += sender.send(block)
    except TimeoutError:
        pass
    return sent
