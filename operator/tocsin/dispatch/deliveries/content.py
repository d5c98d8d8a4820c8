"""What a delivery says: the group as it is now, in the appearance of the channel's type.

Which alert is shown follows alert-flow R-TPL-21: chat tools get the latest, what reaches a person by itself (e-mail,
push, text message, call) the first. A failed template does not stop a message: it goes out with what is left, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tocsin.api.notificationchannel import TwilioMedium
from tocsin.dispatch.announcements import Announcement
from tocsin.flow.appearance import View
from tocsin.flow.markup import harmless
from tocsin.flow.model import ChannelFragment
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.notify.message import BundleItem, Kind, Message
from tocsin.notify.text import moment
from tocsin.store.alerts import Alert
from tocsin.store.bundles import Firing
from tocsin.store.groups import AlertGroup

APPEARANCES: Mapping[str, str] = MappingProxyType(
    {
        "slack": "slack",
        "mattermost": "mattermost",
        "msteams": "msteams",
        "telegram": "telegram",
        "discord": "discord",
        "email": "email",
        "ntfy": "push",
        "pushover": "push",
        "twilio": "sms",
    }
)
"""Type of channel -> its appearance templates; the others show what the web shows."""

FIRST_ALERT = frozenset({"email", "push", "sms", "phone"})


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A group and the alert to show of it. `payload` is the stored (redacted) one; None: it is not kept."""

    group: AlertGroup
    alert: Alert | None = None
    payload: Any = None


class Occasion(msgspec.Struct, frozen=True, kw_only=True):
    """What the message is for. `reason` says why one is told, `thread` is what `Message.thread` is."""

    kind: Kind
    key: str
    reason: str = ""
    thread: str = ""
    confirm: bool = False


def appearance_of(fragment: ChannelFragment) -> str:
    """Which appearance templates a channel uses."""
    if fragment.target.twilio is not None and fragment.target.twilio.medium is TwilioMedium.CALL:
        return "phone"
    return APPEARANCES.get(fragment.type, "web")


def shows_first_alert(fragment: ChannelFragment) -> bool:
    return appearance_of(fragment) in FIRST_ALERT


class Writer:
    """Writes messages of one flow. `console_url`: where people reach the console, without a final slash; "" unknown."""

    def __init__(self, program: Program, console_url: str) -> None:
        self._integrations = program.integrations
        self._console_url = console_url

    def link(self, public_id: str) -> str:
        return f"{self._console_url}/alert-groups/{public_id}" if self._console_url else ""

    def about_group(self, occasion: Occasion, subject: Subject, fragment: ChannelFragment) -> Message:
        """Never raises for content."""
        group = subject.group
        link = self.link(group.public_id)
        program = self._integrations.get(group.integration)
        looks = _looks(program, subject, appearance_of(fragment), link)
        life = group.life
        return Message(
            kind=occasion.kind,
            key=occasion.key,
            title=looks.title,
            text=looks.text,
            image_url=looks.image_url,
            link=link,
            source_link=subject.alert.outcome.source_link if subject.alert else "",
            state=group.state,
            number=group.number,
            public_id=group.public_id,
            integration=program.evaluator.name if program else group.integration.name,
            team=program.fragment.team if program else "",
            labels=group.labels,
            alerts_count=group.alerts_count,
            started_at=group.started_at,
            acknowledged_by=(life.acknowledged.actor or life.acknowledged.cause) if life.acknowledged else "",
            resolved_by=(life.resolved.actor or life.resolved.cause) if life.resolved else "",
            silenced_until=life.silenced.until if life.silenced else None,
            reason=occasion.reason,
            errors=looks.errors,
            thread=occasion.thread,
            confirm=occasion.confirm,
        )

    def bundle(self, occasion: Occasion, firing: Firing) -> Message:
        """Titles are plain text: only what templates gave is markup."""
        return Message(
            kind="bundle",
            key=occasion.key,
            title=f"{firing.total} more alert {'group is' if firing.total == 1 else 'groups are'} firing",
            link=f"{self._console_url}/alert-groups" if self._console_url else "",
            reason=occasion.reason,
            items=tuple(
                BundleItem(
                    number=group.number,
                    title=group.title,
                    link=self.link(group.public_id),
                )
                for group in firing.groups
            ),
            total=firing.total,
        )


def announcement(key: str, told: Announcement) -> Message:
    """What is told of a maintenance window."""
    start, end = moment(told.start), moment(told.end)
    title, text = {
        "start": (f"Maintenance {told.window} has begun", f"It ends at {end}."),
        "end": (f"Maintenance {told.window} is over", f"It began at {start}."),
    }.get(told.event, (f"Maintenance {told.window} begins at {start}", f"It ends at {end}."))
    effect = {
        "Debug": "Alert groups that open in it are shown and escalate to nobody.",
        "Maintenance": "Alert groups that open in it are collected and nobody is told.",
    }.get(told.mode, "")
    lines = (text,) if told.event == "end" else (text, effect)
    return Message(
        kind="announcement",
        key=key,
        title=title,
        text="\n".join(line for line in lines if line),
        reason="the window announces itself here",
    )


class _Looks(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    text: str = ""
    image_url: str = ""
    errors: tuple[str, ...] = ()


def _looks(program: IntegrationProgram | None, subject: Subject, channel: str, link: str) -> _Looks:
    """Without program (the Integration is deleted) or payload (retention took it) the stored title is all there is."""
    group, alert = subject.group, subject.alert
    title = group.title or (alert.outcome.title if alert else "") or f"Alert group #{group.number}"
    plain = str(harmless(channel, title))
    if program is None or alert is None or subject.payload is None:
        return _Looks(title=plain)
    view = View(
        payload=subject.payload,
        now=alert.now,
        labels=dict(group.labels),
        source_link=alert.outcome.source_link,
        title=alert.outcome.title or title,
        extra={
            "grafana_oncall_link": link,
            "grafana_oncall_alert_group_id": group.number,
            "grafana_oncall_incident_id": group.number,
        },
        heartbeat=alert.origin == "heartbeat",
    )
    shown = program.appearance(channel, view)
    errors = tuple(dict.fromkeys(f"{error.slot}: {error.message}" for error in shown.errors))
    return _Looks(
        title=plain if errors else shown.title, text=shown.message, image_url=shown.image_url, errors=errors
    )
