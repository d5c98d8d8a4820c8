"""A world with outgoing webhooks: the real store, compiler, templates and HTTP; the clock and the far end are ours."""

from __future__ import annotations

import json
from typing import Any

from delivering import CONSOLE, KEYS, World, obj
from sqlalchemy import Connection

from tocsin.dispatch import triggers
from tocsin.dispatch.scene import NoCalendars
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.dispatch.webhooks.worker import Means, WebhookWorker
from tocsin.store import deliveries, events, webhookruns
from tocsin.store.webhookruns import WebhookRun
from tocsin.telemetry import Telemetry


class Hooks(World):
    """`tell` turns what happened to groups into runs and makes them, as the dispatcher does."""

    async def open(self) -> None:
        await super().open()
        self.hook_telemetry = Telemetry.create(stream=self.log, process_metrics=False, level="debug")
        self.hooks = self.new_hooks()

    def new_hooks(self) -> WebhookWorker:
        means = Means(http=self.http, keys=KEYS, calendars=NoCalendars(), console_url=CONSOLE)
        return WebhookWorker(self.store, self.live, means, clock=self.clock, telemetry=self.hook_telemetry)

    def webhook(self, name: str = "hook", path: str = "", **spec: Any) -> dict:
        given = {"triggers": ["StatusChange"], "url": f"{self.sink.base}/{path or name}"}
        return obj("OutgoingWebhook", name, **(given | spec))

    async def tell(self) -> int:
        await self.store.write(self._events)
        return await self.hooks.run_due()

    def _events(self, connection: Connection) -> None:
        targets = self.live.program.targets
        taken = events.take(connection, limit=1000)
        for event in taken:
            what = triggers.of_event(event)
            integration = next(iter(self.live.program.integrations))
            for name in () if what is None else triggers.webhooks_for(targets, integration, what.event):
                new = triggers.order(str(event.id), name, event.group, what, self.now)
                deliveries.enqueue(connection, [new])
        events.remove(connection, taken)

    async def ask_for(self, number: int, name: str = "hook", **more: Any) -> int:
        """A run as a step of a chain orders it."""
        order = WebhookOrder(event=triggers.Trigger.ESCALATION, at=self.now, **more)
        new = triggers.order(f"{number}/{self.now}/0", f"default/{name}", number, order, self.now)
        await self.store.write(lambda c: deliveries.enqueue(c, [new]))
        return await self.hooks.run_due()

    async def later(self, seconds: float) -> int:
        self.clock.moment = type(self.now)(self.now + int(seconds * 1_000_000))
        return await self.hooks.run_due()

    async def runs(self, name: str = "hook") -> list[WebhookRun]:
        found = await self.store.read(lambda c: webhookruns.list_runs(c, webhook=f"default/{name}"))
        return sorted(found, key=lambda run: run.id)

    def bodies(self, name: str = "hook") -> list[Any]:
        return [hit.body for hit in self.sink.at(name)]


def headers_of(run: WebhookRun) -> dict[str, str]:
    found: dict[str, str] = json.loads(run.headers)
    return found
