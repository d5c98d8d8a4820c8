"""Who presses a button: the Responder who is reached there. Nobody else may act (alert-flow R-CHT-9)."""

from __future__ import annotations

import hmac

from tocsin.flow.model import ChannelFragment, ContactFragment, ResponderFragment
from tocsin.flow.targets import Targets
from tocsin.notify.buttons import app_of
from tocsin.store.keys import KeyRing


def person_behind(
    targets: Targets, keys: KeyRing, channel: ChannelFragment, user: str
) -> ResponderFragment | None:
    """The Responder with a contact whose address is this user's id, on a channel of the same app, bot or server.

    The same id on another app says nothing: there another workspace decides who somebody is.
    """
    if not user:
        return None
    for _, responder in sorted(targets.responders.items()):
        for contact in responder.contacts:
            there = targets.channels.get(contact.channel)
            if there is None or there.type != channel.type or app_of(there) != app_of(channel):
                continue
            if _reaches(contact, keys, user):
                return responder
    return None


def _reaches(contact: ContactFragment, keys: KeyRing, user: str) -> bool:
    """An address in a Secret is compared by its keyed digest, with the newline that files end with or without."""
    if contact.address_secret is None:
        return hmac.compare_digest(contact.address.encode(), user.encode())
    return contact.address_secret.digest in {keys.digest(user.encode()), keys.digest(f"{user}\n".encode())}
