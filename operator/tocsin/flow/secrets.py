"""Which credentials a fragment needs while it runs."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.flow.model import (
    AnyFragment,
    ChannelFragment,
    IntegrationFragment,
    ResponderFragment,
    ScheduleFragment,
    SecretKey,
    WebhookFragment,
)


def secret_keys(fragment: AnyFragment) -> tuple[SecretKey, ...]:
    """All but the token of an Integration's URL, which is kept apart."""
    return tuple(key for key in _named(fragment) if key is not None)


def _named(fragment: AnyFragment) -> Iterable[SecretKey | None]:
    match fragment:
        case IntegrationFragment(auth=auth):
            return (auth.username, auth.password, auth.secret)
        case ChannelFragment(secrets=secrets):
            return secrets.values()
        case WebhookFragment() as webhook:
            headers = (key for _, key in webhook.secret_headers)
            return (webhook.url_secret, webhook.username, webhook.password, *headers)
        case ResponderFragment(contacts=contacts):
            return (contact.address_secret for contact in contacts)
        case ScheduleFragment(calendar=calendar):
            return () if calendar is None else (calendar.url_secret,)
        case _:
            return ()
