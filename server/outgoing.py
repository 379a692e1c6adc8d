"""Asking others over a network who may take as long over an answer as they like."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, ask: Callable[[], T]) -> T:
    """What ``ask`` returns, or raises, if it does so within ``seconds``.

    Time limits of sockets hold for each byte: who sends one now and then, in the head of an
    answer or in its body, could go on for days. Such a connection is left to its own thread,
    which ends with it.

    Raises:
        TimeoutError: if it takes longer.
    """
    answers: SimpleQueue[T | Exception] = SimpleQueue()

    def listen() -> None:
        try:
            answers.put(ask())
        except Exception as error:
            answers.put(error)

    threading.Thread(target=listen, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError(f"no whole answer within {seconds:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
