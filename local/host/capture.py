"""Keeps what the app and the host log while the host runs; at every level, unless told less."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Iterator

#: Newest records are kept, older ones forgotten.
CAPACITY = 50_000


class LogCapture(logging.Handler):
    """A handler on the root logger; iterate over it for the records, oldest first."""

    _listening = 0
    _level_before = logging.WARNING

    def __init__(self, print_level: int | None = None, level: int = logging.DEBUG) -> None:
        super().__init__(level)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._records: deque[logging.LogRecord] = deque(maxlen=CAPACITY)
        self._print_level = print_level

    def install(self) -> None:
        """Begin to listen; the root logger lets through what anybody listens for."""
        if not LogCapture._listening:
            LogCapture._level_before = logging.root.level
            logging.root.setLevel(self.level)
        logging.root.setLevel(min(logging.root.level, self.level))
        LogCapture._listening += 1
        logging.root.addHandler(self)

    def remove(self) -> None:
        """Stop listening; the records stay."""
        logging.root.removeHandler(self)
        LogCapture._listening -= 1
        if not LogCapture._listening:
            logging.root.setLevel(LogCapture._level_before)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, and print it if its level was asked for."""
        self._records.append(record)
        if self._print_level is not None and record.levelno >= self._print_level:
            print(self.format(record), file=sys.stderr)

    def __iter__(self) -> Iterator[logging.LogRecord]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def lines(self) -> list[str]:
        """Every record as text, with its traceback."""
        return [self.format(record) for record in self]
