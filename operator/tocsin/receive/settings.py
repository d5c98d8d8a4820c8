"""Limits and timeouts of the receiver. Every number that an operator may want to change is here."""

from __future__ import annotations

from dataclasses import dataclass, field

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes in bytes, times in seconds.

    `body_limit` bounds one body, as sent and as decoded; `bodies_limit` all bodies in flight together, counted as they
    arrive, so that a sender who only announces a big body holds nothing. `waiting_limit` is the number of alerts that may wait
    for their commit before new ones are refused with 503.
    """

    body_limit: int = 16 * MIB
    bodies_limit: int = 256 * MIB
    alerts_limit: int = 20_000
    fields_limit: int = 10_000
    waiting_limit: int = 50_000
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    keepalive_timeout: float = 75.0
    connections_limit: int = 10_000
    header_count_limit: int = 100
    header_line_limit: int = 16_384
    heartbeat_rate: int = 300
    heartbeat_period: float = 300.0
    deleted_grace: float = 3600.0
    drain_delay: float = 0.0
    """How long a draining receiver still accepts: the time that load balancers need to take it out."""
    drain_deadline: float = 25.0
    tls_poll: float = 5.0
    access_log: bool = False
    """One log line per request, by Integration."""
    metrics_bearer: str = field(default="", repr=False)
    email_providers: tuple[str, ...] = ()
    """Services that may deliver mails, tried in this order (`sources.inbound_email.providers.PROVIDERS`); none: no mails."""
    email_domain: str = ""
    """Mails to `<token>@<this domain>` are alerts."""
    email_secret: str = field(default="", repr=False)
    """What providers prove themselves with: `user:password` of Basic credentials, or the signing key of Mailgun or Mandrill."""
    email_ses_topic: str = ""
    """ARN of the SNS topic that counts for `amazon_ses_validated`."""
    email_url: str = ""
    """The webhook's URL as Mandrill was given it, if it is another one than `https://<Host header><path>`."""
    outgoing_allowed: tuple[str, ...] = ()
    """Hosts, addresses and networks that outgoing requests may reach beside the public internet (`notify.guard`)."""
