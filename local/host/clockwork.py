"""One thread that fires callbacks at due times; stopping forgets what has not fired.

The in-memory backend starts a sleeping thread for every durable timer, which would outlive the host
by as long as the timer. This queue is one thread for all of them and ends at once.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("host.timers")


class TimerQueue:
    """Callbacks by due time, fired in order on a thread of its own."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="host-timers", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Drop everything that has not fired and end the thread."""
        with self._changed:
            self._stopped = True
            self._entries.clear()
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def after(self, delay: float, callback: Callable[[], None]) -> None:
        """Call `callback` in `delay` seconds (at once if that is not positive)."""
        with self._changed:
            if self._stopped:
                return
            due = time.monotonic() + max(0.0, delay)
            heapq.heappush(self._entries, (due, next(self._order), callback))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._stopped and not self._due():
                    self._changed.wait(self._pause())
                if self._stopped:
                    return
                _, _, callback = heapq.heappop(self._entries)
            try:
                callback()
            except Exception:  # noqa: BLE001
                # The thread serves every timer: one bad callback must not end the others.
                _log.exception("a timer callback failed")

    def _due(self) -> bool:
        return bool(self._entries) and self._entries[0][0] <= time.monotonic()

    def _pause(self) -> float | None:
        if not self._entries:
            return None
        return max(0.0, self._entries[0][0] - time.monotonic())
