"""The calendars of on-call schedules: fetched in time, kept in the store, parsed at hand.

Whoever acts needs a calendar at once and must not wait for its host: `get` answers from memory. One process fetches, the
others find it in the store. While the host fails, the last good calendar stays in force for a week.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.dispatch.background import Background
from tocsin.dispatch.clock import DAY, MINUTE, SECOND
from tocsin.dispatch.live import Live
from tocsin.flow.model import CalendarFragment, Micros
from tocsin.flow.oncall import Calendar, InvalidCalendar, parse, unreadable
from tocsin.notify.client import Answer, FetchFailed, HttpClient
from tocsin.store import calendars, clock, credentials
from tocsin.store.calendars import Fetched
from tocsin.store.database import Store
from tocsin.store.errors import DecryptionFailed, StoreUnavailable
from tocsin.telemetry import Telemetry

SIZE_LIMIT = 5 * 1024 * 1024
"""Bytes of a calendar."""
LEAST_REFRESH = MINUTE
"""Also how soon a host that failed is asked again."""
KEPT_FOR = 7 * DAY
"""A calendar that its host has not confirmed for so long is not believed any more."""
NOT_YET = "it has not been read yet"
_AT_ONCE = 4
_LONGEST_WAIT = MINUTE

Now = Callable[[Connection], Micros]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A calendar in memory. `text`: digest of what it was parsed from. `in_force`: what `get` gives."""

    source: str
    text: str
    parsed: Calendar
    in_force: Calendar


class Calendars:
    """`refresh` as often as it says, then `get`; or `run` until `stop`. Without `http` it only follows what others fetch."""

    def __init__(
        self,
        store: Store,
        live: Live,
        telemetry: Telemetry,
        *,
        http: HttpClient | None = None,
        now: Now = clock.now,
    ) -> None:
        self._store = store
        self._live = live
        self._log = telemetry.log
        self._http = http
        self._now = now
        self._held: dict[str, _Held] = {}
        self._known: Mapping[str, Fetched] = {}
        self._background = Background("calendars", telemetry.log)

    def get(self, schedule: str) -> Calendar | None:
        """The calendar of a schedule (`namespace/name`), `unreadable` with the reason where there is none to go by. None: the
        schedule has none.
        """
        fragment = self._fragments().get(schedule)
        if fragment is None:
            return None
        held = self._held.get(schedule)
        if held is not None and held.source == source_of(fragment):
            return held.in_force
        if _is_text(fragment):
            return self._hold_text(schedule, fragment.text).in_force
        return unreadable(NOT_YET)

    def state(self, schedule: str) -> Fetched | None:
        """How fetching goes, as of the last `refresh`; None for a calendar that is not fetched."""
        return self._known.get(schedule)

    async def run(self) -> None:
        background = self._background
        background.begin()
        while not background.stopping:
            background.woken.clear()
            try:
                wait = await self.refresh()
            except Exception as error:  # noqa: BLE001 - one calendar's surprise must not end all of them
                background.report(error)
                wait = SECOND if isinstance(error, StoreUnavailable) else MINUTE
            await background.wait(wait / SECOND)

    def wake(self) -> None:
        """The flow has changed: look now. From any thread."""
        self._background.wake()

    def stop(self) -> None:
        self._background.stop()

    async def refresh(self) -> int:
        """Fetches what is due and takes over what others fetched. Microseconds until it is worth calling again.

        Raises StoreUnavailable.
        """
        fragments = self._fragments()
        known, now = await self._store.read(lambda c: (calendars.load(c), self._now(c)))
        self._known = {key: one for key, one in known.items() if key in fragments}
        await self._forget(known, fragments)
        for key, fragment in fragments.items():
            if _is_text(fragment):
                await asyncio.to_thread(self._hold_text, key, fragment.text)
        fetched = {key: one for key, one in fragments.items() if not _is_text(one)}
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(key: str) -> int:
            async with limit:
                return await self._bring_up(key, fetched[key], now)

        waits = await asyncio.gather(*(one(key) for key in fetched))
        return max(SECOND, min((*waits, _LONGEST_WAIT)))

    def _fragments(self) -> dict[str, CalendarFragment]:
        schedules = self._live.program.targets.schedules
        return {key: one.calendar for key, one in schedules.items() if one.calendar is not None}

    def _hold_text(self, key: str, text: str) -> _Held:
        digest = _digest(text)
        held = self._held.get(key)
        if held is None or held.text != digest:
            parsed = _parsed(text)
            held = _Held(source=digest, text=digest, parsed=parsed, in_force=parsed)
            self._held[key] = held
        return held

    async def _bring_up(self, key: str, fragment: CalendarFragment, now: Micros) -> int:
        source = source_of(fragment)
        known = self._known.get(key)
        if known is not None and known.source != source:
            known = None
        if self._http is not None and (known is None or now >= known.checked_at + _period(fragment, known)):
            known = await self._fetch(key, fragment, known or Fetched(source=source, checked_at=now), now)
            self._known = {**self._known, key: known}
        if known is None:
            self._held[key] = _Held(source=source, text="", parsed=_NONE, in_force=_NONE)
            return LEAST_REFRESH if self._http is None else SECOND
        await self._take_over(key, known, now)
        return max(0, known.checked_at + _period(fragment, known) - now)

    async def _take_over(self, key: str, known: Fetched, now: Micros) -> None:
        """Puts what is in the store in force here."""
        held = self._held.get(key)
        parsed = held.parsed if held is not None and held.text == known.digest else None
        if parsed is None:
            text = await self._store.read(lambda c: calendars.text_of(c, key)) if known.digest else ""
            parsed = await asyncio.to_thread(_parsed, text) if text else _NONE
        self._held[key] = _Held(
            source=known.source, text=known.digest, parsed=parsed, in_force=_believed(parsed, known, now)
        )

    async def _fetch(self, key: str, fragment: CalendarFragment, known: Fetched, now: Micros) -> Fetched:
        text: str | None = None
        try:
            answer = await self._ask(fragment, known)
            if answer.status == 304 and known.digest:
                after = replace(known, checked_at=now, read_at=now, problem="")
            else:
                read, parsed = await asyncio.to_thread(_read, answer)
                text = read
                after = Fetched(
                    source=known.source,
                    checked_at=now,
                    read_at=now,
                    digest=_digest(read),
                    etag=answer.headers.get("etag", "")[:200],
                    modified=answer.headers.get("last-modified", "")[:100],
                )
                self._held[key] = _Held(
                    source=known.source, text=after.digest, parsed=parsed, in_force=parsed
                )
        except (FetchFailed, InvalidCalendar, DecryptionFailed) as error:
            after = replace(known, checked_at=now, problem=str(error)[:300])
        self._report(key, known, after, now)
        await self._store.write(lambda c: calendars.put(c, key, after, text))
        return after

    async def _ask(self, fragment: CalendarFragment, known: Fetched) -> Answer:
        assert self._http is not None
        headers = {"Accept": "text/calendar, */*;q=0.5"}
        if known.digest and known.etag:
            headers["If-None-Match"] = known.etag
        elif known.digest and known.modified:
            headers["If-Modified-Since"] = known.modified
        url = await self._url(fragment)
        return await self._http.exchange("GET", url, headers=headers, size_limit=SIZE_LIMIT)

    async def _url(self, fragment: CalendarFragment) -> str:
        secret = fragment.url_secret
        if secret is None:
            return fragment.url
        name = (secret.namespace, secret.name, secret.key)
        keys = self._store.keys
        found = await self._store.read(lambda c: credentials.load_texts(c, keys, [name]))
        if name not in found:
            raise InvalidCalendar(
                f"Secret {secret.namespace}/{secret.name} has no value for key {secret.key}"
            )
        return found[name]

    async def _forget(self, known: Mapping[str, Fetched], fragments: Mapping[str, CalendarFragment]) -> None:
        for key in [key for key in self._held if key not in fragments]:
            del self._held[key]
        gone = [key for key in known if key not in fragments]
        if gone and self._http is not None:
            await self._store.write(lambda c: calendars.forget(c, gone))

    def _report(self, key: str, before: Fetched, after: Fetched, now: Micros) -> None:
        if after.problem and after.problem != before.problem:
            self._log.warning("a calendar cannot be read", schedule=key, reason=after.problem)
        if before.problem and not after.problem:
            self._log.info("a calendar can be read again", schedule=key)
        age = now - after.read_at
        if after.digest and age > KEPT_FOR and before.checked_at - before.read_at <= KEPT_FOR:
            self._log.error("a calendar is too old to go by", schedule=key, days=age // DAY)


_NONE = unreadable(NOT_YET)


def source_of(fragment: CalendarFragment) -> str:
    """What tells one place of a calendar from another, without saying what it is."""
    secret = fragment.url_secret
    if secret is not None:
        return _digest(f"{secret.namespace}/{secret.name}/{secret.key}/{secret.digest}")
    return _digest(fragment.url or fragment.text)


def _is_text(fragment: CalendarFragment) -> bool:
    return not fragment.url and fragment.url_secret is None


def _period(fragment: CalendarFragment, known: Fetched) -> int:
    return LEAST_REFRESH if known.problem else max(fragment.refresh, LEAST_REFRESH)


def _believed(parsed: Calendar, known: Fetched, now: Micros) -> Calendar:
    if not known.digest:
        return unreadable(known.problem or NOT_YET)
    if now - known.read_at > KEPT_FOR:
        return unreadable(f"{known.problem}; the last good one is more than {KEPT_FOR // DAY} days old")
    return parsed


def _read(answer: Answer) -> tuple[str, Calendar]:
    """Raises InvalidCalendar."""
    if 300 <= answer.status < 400:
        raise InvalidCalendar(f"its host answered {answer.status}: give the URL that it leads to")
    if not answer.ok:
        raise InvalidCalendar(f"its host answered {answer.status}")
    if answer.truncated:
        raise InvalidCalendar(f"it has more than {SIZE_LIMIT // 1024 // 1024} MiB")
    text = answer.body.decode("utf-8-sig", "replace").replace("\x00", "\ufffd")
    return text, parse(text)


def _parsed(text: str) -> Calendar:
    try:
        return parse(text)
    except InvalidCalendar as problem:
        return unreadable(str(problem))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
