"""How much to send in one exchange: what the link carries in a few seconds, learnt as it goes."""

#: How long one exchange should take: a cut costs little, and its fixed cost is spread.
TARGET_S = 4.0
FIRST_BYTES = 32 << 10
SMALLEST_BYTES = 1 << 10


class Pace:
    """Grows at most twofold with each exchange that went well, halves where nothing arrived."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest = longest_bytes
        self.bytes = min(FIRST_BYTES, longest_bytes)

    def went(self, sent_bytes: int, took_ms: int) -> None:
        """Learn from an exchange that was answered."""
        carried = int(sent_bytes * TARGET_S * 1000 / max(took_ms, 1))
        # An exchange that was not full says little about the link: its cost was the way.
        floor = self.bytes // 2 if sent_bytes * 2 >= self.bytes else self.bytes
        self.bytes = self._within(max(floor, min(carried, self.bytes * 2)))

    def failed(self, *, some_arrived: bool) -> None:
        """Learn from an exchange that was cut; what arrived of it is kept and was not in vain."""
        if not some_arrived:
            self.bytes = self._within(self.bytes // 2)

    def _within(self, size: int) -> int:
        return max(min(SMALLEST_BYTES, self._longest), min(size, self._longest))
