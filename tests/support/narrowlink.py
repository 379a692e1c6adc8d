"""A slow link whose exchanges fail at a random byte; it counts every byte that went over it."""

import random
import re

from tests.support.badnet import BadNetwork
from tests.support.fieldkit import HandClock

#: What the reply to a request of a kind not seen yet is taken to be long.
_FIRST_GUESS = 600


class LinkClock(HandClock):
    """A clock that a link moves by what it carries, and that moves by what is slept."""

    def pass_ms(self, ms):
        self.wall_ms += int(ms)
        self.mono_ms += int(ms)

    def sleep(self, seconds):
        super().sleep(seconds)
        self.pass_ms(seconds * 1000)


class NarrowLink(BadNetwork):
    """Passes exchanges on to ``upstream``; a share ``rate`` of them is cut.

    The place of a cut is drawn evenly over all bytes of the exchange, request and
    reply with their headers. How long the reply will be is not known when the
    request is on its way: the last one to a request of the same kind stands for it.
    """

    def __init__(self, upstream, clock, *, rate=0.0, seed=0, bits_per_s=64_000, way_ms=300):
        super().__init__(upstream)
        self.rate = rate
        self.bytes = self.exchanges = self.failures = 0
        self._clock = clock
        self._bits_per_ms = bits_per_s / 1000
        self._way_ms = way_ms
        self._draw = random.Random(seed)
        self._replies = {}

    def _pass_on(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        head = len(handler.raw_requestline) + len(bytes(handler.headers))
        kind = handler.command, re.sub(r"[0-9a-f-]{32,}|\?.*", "", handler.path)
        whole = head + len(body)
        self.exchanges += 1
        place = whole + self._replies.get(kind, _FIRST_GUESS)
        if self._draw.random() < self.rate:
            self.failures += 1
            place = self._draw.randrange(place)
            if place < whole:
                self._carry(place)
                if place > head:
                    self._send_part(handler, body, place - head)
                self._hang_up(handler)
                return
            place = self._draw.random()
        answer = self._ask(handler, body)
        self._replies[kind] = size = _size(*answer)
        if place < 1:
            self._carry(whole + int(place * size))
            self._hang_up(handler)
        else:
            self._carry(whole + size)
            self._answer(handler, *answer)

    def _carry(self, size):
        self.bytes += size
        self._clock.pass_ms(self._way_ms + size * 8 / self._bits_per_ms)


def _size(status, headers, body):
    return 40 + sum(len(name) + len(value) + 4 for name, value in headers) + len(body)
