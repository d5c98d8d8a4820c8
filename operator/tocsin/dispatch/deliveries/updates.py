"""Messages that grew old: alerts joined their group since. Looked for every few seconds, so a storm is one edit.

Changes of state do not wait for this: they are enqueued with what changed (dispatch/events.py). This finds what was
missed there as well, such as a change while the first message was on its way.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.dispatch.clock import SECOND
from tocsin.flow.model import Micros
from tocsin.store import deliveries, groups, posted

EVERY = 3.0
"""Seconds between two looks."""

AT_MOST_EVERY = 10 * SECOND
"""Between two edits of one message because of further alerts."""

MOST = 500
"""Messages that one look takes up."""


def is_any_behind(connection: Connection, now: Micros) -> bool:
    return bool(posted.behind(connection, Micros(now - AT_MOST_EVERY), limit=1))


def enqueue_late(connection: Connection, edits: Callable[[str], bool | None], now: Micros) -> int:
    """Enqueues edits of messages that say less than there is; how many need one. `edits`: whether a channel can; None: unknown.

    Where it cannot, further alerts are no news: the message counts as up to date until the state changes.
    """
    late = posted.behind(connection, Micros(now - AT_MOST_EVERY), limit=MOST)
    if not late:
        return 0
    present = groups.get_some(connection, {message.group for message in late})
    wanted: list[tuple[int, str]] = []
    for message in late:
        group = present.get(message.group)
        if group is None:
            posted.close(connection, message.group, message.channel)
        elif edits(message.channel) is False and group.state is message.state:
            posted.put(connection, replace(message, alerts_count=group.alerts_count, updated_at=now))
        else:
            wanted.append((message.group, message.channel))
    deliveries.enqueue_updates(connection, wanted, now)
    return len(wanted)
