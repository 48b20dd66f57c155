"""Answers to Ctrl-C that come at once, whatever a run is doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from islands.observe.lines import say

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def answered(text: str) -> Iterator[Callable[[], bool]]:
    """Say `text` as soon as the first signal to stop comes; give a function that tells in the end if it came.

    Python runs the handlers of signals in its main thread, and not while that is within a call of C, as Ray's
    and networks' may be for seconds. A signal that has no handler of Python's is not answered.
    """
    heard = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield heard.is_set  # Python delivers signals to the main thread only
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def listen() -> None:
        while number := os.read(reading, 1):
            if number[0] in SIGNALS and not heard.is_set():
                heard.set()
                say(text)

    listener = threading.Thread(target=listen, name="answers", daemon=True)
    listener.start()
    try:
        yield heard.is_set
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        listener.join()
        os.close(reading)
