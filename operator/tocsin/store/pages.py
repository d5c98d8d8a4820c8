"""Pages by number over what repositories list by key, counts with a cap, and texts in payloads."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, func, select

from tocsin.store import alerts, groups
from tocsin.store.alerts import Alert, AlertPage
from tocsin.store.groups import Count, GroupFilter
from tocsin.store.tables import alert, alert_group, group_tally

_SEARCHED_AT_ONCE = 100


class Found(NamedTuple):
    """`next`: where the search goes on, None at the end."""

    alerts: tuple[Alert, ...]
    next: int | None


def group_before(connection: Connection, wanted: GroupFilter, offset: int) -> int | None:
    """The number of the last of the first `offset` groups: the `before` of the page that follows them."""
    conditions = groups._conditions(connection, wanted)  # noqa: SLF001 - one package, one notion of what matches
    if conditions is None or offset <= 0:
        return None
    query = select(alert_group.c.id).where(*conditions).order_by(alert_group.c.id.desc())
    return connection.scalar(query.offset(offset - 1).limit(1))


def alert_before(connection: Connection, group: int | None, offset: int) -> int | None:
    """The same for alerts, of one group or of all."""
    if offset <= 0:
        return None
    if group is not None:
        ids = alerts.chain(connection, group, limit=offset)
        return ids[-1] if len(ids) == offset else None
    return connection.scalar(select(alert.c.id).order_by(alert.c.id.desc()).offset(offset - 1).limit(1))


def count_alerts(connection: Connection, group: int | None) -> Count:
    """Exact within a group; of all alerts exact up to the cap."""
    if group is not None:
        found = connection.scalar(select(group_tally.c.alerts_count).where(group_tally.c.group_id == group))
        return Count(count=found or 0, capped=False)
    some = select(alert.c.id).limit(groups.COUNT_CAP + 1).subquery()
    found = connection.scalar(select(func.count()).select_from(some)) or 0
    return Count(count=min(found, groups.COUNT_CAP), capped=found > groups.COUNT_CAP)


def search_alerts(  # noqa: PLR0913 - a filter and a page
    connection: Connection,
    text: str,
    *,
    group: int | None,
    before: int | None,
    limit: int,
    most: int,
) -> Found:
    """Alerts whose payload's JSON text contains `text`, newest first. Looks at `most` alerts at most per call."""
    needle = text.encode()
    found: list[Alert] = []
    seen = 0
    while seen < most:
        page: AlertPage = alerts.list_alerts(
            connection, group=group, before=before, limit=min(_SEARCHED_AT_ONCE, most - seen)
        )
        for one in page.items:
            seen += 1
            before = one.id
            body = alerts.payload_of(connection, one.id)
            if body is not None and needle in body:
                found.append(one)
                if len(found) == limit:
                    return Found(tuple(found), before)
        if page.next is None:
            return Found(tuple(found), None)
    return Found(tuple(found), before)
