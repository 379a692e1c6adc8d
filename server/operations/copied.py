"""Finding a long passage that one text shares with others (雷同笔录), at bounded cost."""

#: The longest text that is compared; beyond it only its beginning is.
MAX_CHARS = 100_000


class Passages:
    """A text whose long passages are looked for in others; it is read once.

    A passage of ``least`` characters holds a whole piece of half that length wherever the
    other text is cut into such pieces. So the other text is cut, each piece is looked up
    among all of this text, where its first place counts, and grown on both sides. A passage
    that repeats itself may so be told shorter than it is.
    """

    def __init__(self, text: str, least: int) -> None:
        self._text = text[:MAX_CHARS]
        self._least = least
        self._piece = least // 2
        self._places: dict[str, int] = {}
        for at in range(len(self._text) - self._piece + 1):
            self._places.setdefault(self._text[at : at + self._piece], at)

    def longest_in(self, other: str) -> str:
        """The longest passage of at least ``least`` characters that was found; else empty."""
        other = other[:MAX_CHARS]
        best, at = "", 0
        while at <= len(other) - self._piece:
            place = self._places.get(other[at : at + self._piece])
            if place is None:
                at += self._piece
                continue
            start, end = self._grown(other, at, place)
            if end - start > len(best):
                best = other[start:end]
            # What begins within this passage and goes on beyond it holds a later piece.
            at += max(self._piece, (end - at) // self._piece * self._piece)
        return best if len(best) >= self._least else ""

    def _grown(self, other: str, at: int, place: int) -> tuple[int, int]:
        back = 0
        while back < min(at, place) and other[at - back - 1] == self._text[place - back - 1]:
            back += 1
        ahead, room = self._piece, min(len(other) - at, len(self._text) - place)
        while ahead < room and other[at + ahead] == self._text[place + ahead]:
            ahead += 1
        return at - back, at + ahead
