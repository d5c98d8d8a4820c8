"""What a commit left for others to do, told to whoever waits for it in this process.

Work is written in the transaction that makes it necessary; `mark` says so, and after the commit the listeners of that
topic are called. Other processes find the work by looking.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from sqlalchemy import Connection

EVENTS = "events"
DELIVERIES = "deliveries"
"""Topics: something happened to a group; a message waits to be sent."""

_MARKS = "tocsin.marks"

Listener = Callable[[], None]


def mark(connection: Connection, topic: str) -> None:
    """Work of this topic waits once the transaction is committed."""
    connection.info.setdefault(_MARKS, set()).add(topic)


def take(connection: Connection) -> set[str]:
    """What was marked on this connection since the last call."""
    marks: set[str] = connection.info.pop(_MARKS, set())
    return marks


class Wakeups:
    """The listeners of one store. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, tuple[Listener, ...]] = {}

    def listen(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Have `listener` called after each commit that left work, in the thread that committed: it must not block
        and must not raise. The result ends that.
        """
        with self._lock:
            self._listeners[topic] = (*self._listeners.get(topic, ()), listener)

        def end() -> None:
            with self._lock:
                self._listeners[topic] = tuple(one for one in self._listeners[topic] if one is not listener)

        return end

    def tell(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for listener in self._listeners.get(topic, ()):
                listener()
