"""Queues in memory, with the rules of Storage queues that a function can notice.

A message is delivered at least once; if the function fails, it comes back after the visibility
timeout with a higher dequeue count, and after the fifth failure it lies in `<queue>-poison`.
Order is not promised. Left out: expiry, peeking by clients, base64 (the text put is the text got).
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from azure.functions.queue import QueueMessage

POISON = "-poison"
LIFETIME = timedelta(days=7)


@dataclass
class Message:
    """One message as it lies in the queue."""

    text: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    dequeue_count: int = 0
    inserted: datetime = field(default_factory=lambda: datetime.now(UTC))
    #: monotonic time from which it can be taken
    visible_at: float = field(default_factory=time.monotonic)
    taken: bool = False

    def delivered(self) -> QueueMessage:
        """The message as a function gets it."""
        return QueueMessage(  # type: ignore[no-untyped-call]
            id=self.id,
            body=self.text,
            dequeue_count=self.dequeue_count,
            insertion_time=self.inserted,
            expiration_time=self.inserted + LIFETIME,
            time_next_visible=datetime.now(UTC),
            pop_receipt=str(uuid.uuid4()),
        )


class Queue:
    """One queue; safe to use from any thread."""

    def __init__(self, name: str, wake: Callable[[], None]) -> None:
        self.name = name
        self._wake = wake
        self._messages: list[Message] = []
        self._changed = threading.Condition()

    def put(self, text: str | bytes, *, delay: float = 0.0) -> str:
        """Add a message, to be seen in `delay` seconds; returns its id."""
        message = Message(text.decode("utf-8") if isinstance(text, bytes) else text)
        message.visible_at += delay
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()
        self._wake()
        return message.id

    @property
    def texts(self) -> list[str]:
        """What lies in the queue, taken messages too."""
        with self._changed:
            return [message.text for message in self._messages]

    def wait_until_empty(self, timeout: float = 30.0) -> bool:
        """Wait until every message was handled or moved away; False if it took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._messages, timeout)

    def wait_for_message(self, timeout: float = 30.0) -> bool:
        """Wait until there is a message; False if it took too long."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._messages), timeout)

    # -- for the host ----------------------------------------------------------------------------

    def take(self) -> Message | None:
        """A visible message, made invisible; None if there is none."""
        with self._changed:
            for message in self._messages:
                if not message.taken and message.visible_at <= time.monotonic():
                    message.taken = True
                    message.dequeue_count += 1
                    return message
        return None

    def next_visible_in(self) -> float | None:
        """Seconds until a message can be taken; None if none lies there."""
        with self._changed:
            due = [each.visible_at for each in self._messages if not each.taken]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def remove(self, message: Message) -> None:
        """Delete a handled message."""
        with self._changed:
            self._messages.remove(message)
            self._changed.notify_all()

    def give_back(self, message: Message, delay: float) -> None:
        """Let a message be taken again in `delay` seconds."""
        with self._changed:
            message.taken = False
            message.visible_at = time.monotonic() + delay
        self._wake()
