"""Everything that a batch of deliveries needs of the store, in one reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.deliveries.channels import Values, secret_name
from tocsin.dispatch.deliveries.content import Subject, shows_first_alert
from tocsin.dispatch.deliveries.parcels import order_of
from tocsin.flow.model import ChannelFragment, ContactFragment
from tocsin.flow.program import Program
from tocsin.store import alerts, bundles, credentials, deliveries, groups, posted
from tocsin.store.bundles import Firing
from tocsin.store.deliveries import Delivery
from tocsin.store.groups import AlertGroup
from tocsin.store.keys import KeyRing
from tocsin.store.posted import Posted

LISTED = 20
"""Groups that a bundle names; it counts all."""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """`subjects` by group and whether it is its first alert (else its last); `posted` by group and channel;
    `bundles` by the id of their delivery; `values`: the secrets that were asked for.
    """

    groups: Mapping[int, AlertGroup]
    subjects: Mapping[tuple[int, bool], Subject]
    posted: Mapping[tuple[int, str], Posted]
    bundles: Mapping[int, Firing]
    values: Values


def load(
    connection: Connection,
    keys: KeyRing,
    program: Program,
    batch: Sequence[Delivery],
    opened: Collection[ChannelFragment],
) -> Loaded:
    """`opened`: the channels that are about to be opened, whose secrets are needed."""
    channels = program.targets.channels
    numbers = {one.group for one in batch if one.group is not None}
    found = groups.get_some(connection, numbers) if numbers else {}
    wanted = {
        (one.group, shows_first_alert(channels[one.channel]))
        for one in batch
        if one.group is not None and one.group in found and one.channel in channels
    }
    secrets = {secret_name(key) for fragment in opened for key in fragment.secrets.values()}
    for one in batch:
        contact = contact_of(program, one)
        if contact is not None and contact.address_secret is not None:
            secrets.add(secret_name(contact.address_secret))
    return Loaded(
        groups=found,
        subjects=_subjects(connection, found, wanted) if wanted else {},
        posted={
            (one.group, one.channel): one
            for one in (posted.list_posted(connection, sorted(found)) if found else ())
        },
        bundles={one.id: _firing(connection, one) for one in batch if one.kind == deliveries.BUNDLE},
        values=credentials.load_texts(connection, keys, secrets),
    )


def contact_of(program: Program, delivery: Delivery) -> ContactFragment | None:
    """How a channel reaches the responder: by the contact that was chosen, else by another one that they have there."""
    responder = program.targets.responders.get(delivery.responder)
    if responder is None:
        return None
    there = [contact for contact in responder.contacts if contact.channel == delivery.channel]
    return next(
        (contact for contact in there if contact.name == delivery.contact), there[0] if there else None
    )


def _firing(connection: Connection, bundle: Delivery) -> Firing:
    order = order_of(bundle.data)
    key, since = order.bundle or bundle.key, order.since or bundle.created_at
    return bundles.firing(connection, key, since, limit=LISTED)


def _subjects(
    connection: Connection, found: Mapping[int, AlertGroup], wanted: Collection[tuple[int, bool]]
) -> dict[tuple[int, bool], Subject]:
    """The alert to show; where its payload is not kept, the other one of first and last if that has its own."""
    ends = alerts.ends(connection, found)
    chosen = {(number, first): ends[number] if first else ends[number][::-1] for number, first in wanted}
    known = alerts.get_some(connection, {ids[0] for ids in chosen.values() if ids[0] is not None})
    others = {
        other
        for one, other in chosen.values()
        if other is not None and other not in known and (one not in known or known[one][1] is None)
    }
    if others:
        known |= alerts.get_some(connection, others)
    subjects: dict[tuple[int, bool], Subject] = {}
    for (number, first), ids in chosen.items():
        shown = [known[one] for one in ids if one is not None and one in known]
        alert, body = next((one for one in shown if one[1] is not None), shown[0] if shown else (None, None))
        payload = None if body is None else msgspec.json.decode(body)
        subjects[number, first] = Subject(group=found[number], alert=alert, payload=payload)
    return subjects
