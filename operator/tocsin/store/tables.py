"""The tables, as SQLAlchemy Core on both engines. `migrations/` makes them; a test keeps the two equal.

Every moment is UTC in 64-bit integer microseconds. Object identities are integers that outlive their objects. The
key of `alert_group` is the group's number.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only in columns declared INTEGER; they are 64 bits wide all the same."""

FIRING, ACKNOWLEDGED, SILENCED, RESOLVED = 0, 1, 2, 3
"""Values of `alert_group.state`."""

setting = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Facts about this database: the key that disguises ids, the oldest version that can work with this schema."""

identity = Table(
    "identity",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("public_id", Text, nullable=False, unique=True),
    UniqueConstraint("kind", "namespace", "name"),
    sqlite_autoincrement=True,
)
"""Declared objects, for ever: never deleted, so that a recreated object continues its groups."""

# --- the published flow ---------------------------------------------------------------------------------------------

fragment = Table(
    "fragment",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
"""Compiled objects by SHA-256 of their canonical JSON; `body` is zstd."""

manifest = Table(
    "manifest",
    metadata,
    Column("id", Key, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("base_id", ForeignKey("manifest.id"), nullable=True),
    Column("depth", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""Identity -> digest, as zstd JSON; with `base_id` only what differs from that manifest (null: gone)."""

revision = Table(
    "revision",
    metadata,
    Column("number", Key, primary_key=True),
    Column("manifest_id", ForeignKey("manifest.id"), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

leadership = Table(
    "leadership",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
"""One row (id 1), locked by every publisher: the highest epoch and revision so far."""

replica = Table(
    "replica",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("registered_at", BigInteger, nullable=False),
    Column("renewed_at", BigInteger, nullable=False),
)
"""`revision` 0: has not loaded any."""

# --- credentials ----------------------------------------------------------------------------------------------------

credential = Table(
    "credential",
    metadata,
    Column("namespace", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

endpoint_token = Table(
    "endpoint_token",
    metadata,
    Column("id", Key, primary_key=True),
    Column("integration_id", ForeignKey("identity.id"), nullable=False),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=True),
    Column("entombed_until", BigInteger, nullable=True),
    Index(None, "integration_id"),
    sqlite_autoincrement=True,
)
"""`valid_until`: end of a rotation's overlap. `entombed_until`: the Integration is deleted, answer into dead letters."""

snapshot = Table(
    "snapshot",
    metadata,
    Column("path", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("taken_at", BigInteger, nullable=False),
)
"""Last good text (zstd) of each file of a folder."""

# --- alerts ---------------------------------------------------------------------------------------------------------

_open = text("resolved_at IS NULL AND grouping_key IS NOT NULL")

alert_group = Table(
    "alert_group",
    metadata,
    Column("id", Key, primary_key=True),
    Column("integration_id", BigInteger, nullable=False),
    Column("route_id", BigInteger, nullable=False),
    Column("grouping", SmallInteger, nullable=False),
    Column("grouping_key", LargeBinary, nullable=True),
    Column("place", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("first_alert_id", BigInteger, nullable=True),
    Column("received_at", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger, nullable=True),
    Column("acknowledged_cause", Text, nullable=True),
    Column("acknowledged_by", Text, nullable=True),
    Column("silenced_at", BigInteger, nullable=True),
    Column("silenced_until", BigInteger, nullable=True),
    Column("silenced_by", Text, nullable=True),
    Column("resolved_at", BigInteger, nullable=True),
    Column("resolved_cause", Text, nullable=True),
    Column("resolved_by", Text, nullable=True),
    Column("response_time", BigInteger, nullable=True),
    Column("parent_id", BigInteger, nullable=True),
    Column("occurrence_id", BigInteger, nullable=True),
    Column("suppressed", Boolean, nullable=False, server_default=false()),
    Column("demo", Boolean, nullable=False, server_default=false()),
    Column("wiped", Boolean, nullable=False, server_default=false()),
    Column("escalate_at", BigInteger, nullable=True),
    Column("renotified_at", BigInteger, nullable=True),
    # at most one open group of an integration, route and grouping id was opened by an alert; the order of the columns
    # lets a source signal find all of them whatever their route
    Index(
        "ux_alert_group_open",
        "integration_id",
        "grouping_key",
        "route_id",
        "place",
        unique=True,
        postgresql_where=_open,
        sqlite_where=_open,
    ),
    Index(
        "ix_alert_group_grouping_key",
        "integration_id",
        "grouping_key",
        "id",
        postgresql_where=text("grouping_key IS NOT NULL"),
        sqlite_where=text("grouping_key IS NOT NULL"),
    ),
    Index("ix_alert_group_integration_id", "integration_id", "id"),
    Index("ix_alert_group_firing", "id", postgresql_where=text("state = 0"), sqlite_where=text("state = 0")),
    Index(
        "ix_alert_group_acknowledged",
        "id",
        postgresql_where=text("state = 1"),
        sqlite_where=text("state = 1"),
    ),
    Index(
        "ix_alert_group_silenced", "id", postgresql_where=text("state = 2"), sqlite_where=text("state = 2")
    ),
    Index(
        "ix_alert_group_resolved_at",
        "resolved_at",
        postgresql_where=text("resolved_at IS NOT NULL"),
        sqlite_where=text("resolved_at IS NOT NULL"),
    ),
    Index(
        "ix_alert_group_parent_id",
        "parent_id",
        postgresql_where=text("parent_id IS NOT NULL"),
        sqlite_where=text("parent_id IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""`grouping`: 0 by id, 1 alone, 2 fallback. `grouping_key` is null for groups that nothing can ever join.

`place`: 0 as long as it is as an alert opened it, its own number once it was unresolved; among the open groups of a
route and grouping id alerts join the one with the lowest place. `occurrence_id`: it is the maintenance group of that occurrence.
`suppressed`: opened under a window, not escalated.
 `escalate_at`: escalation is owed from then on.
"""

group_tally = Table(
    "group_tally",
    metadata,
    Column("group_id", Key, primary_key=True, autoincrement=False),
    Column("alerts_count", BigInteger, nullable=False),
    Column("last_alert_id", BigInteger, nullable=True),
    Column("last_alert_at", BigInteger, nullable=False),
    Column("digested_count", BigInteger, nullable=False, server_default=text("0")),
    Column("digest_first_id", BigInteger, nullable=True),
    Column("digest_last_id", BigInteger, nullable=True),
    Column("spared_to", BigInteger, nullable=False, server_default=text("0")),
)
"""The part of a group that every alert changes, one short row each: few pages to write for many groups.

`last_alert_id` heads the chain of the group's alerts. `digest_*`: the payloads kept of alerts over the rate limit.
`spared_to`: retention has been through the payloads of the alerts with an ordinal up to this.
"""

label = Table(
    "label",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("key", "value"),
    sqlite_autoincrement=True,
)

group_label = Table(
    "group_label",
    metadata,
    Column("label_id", BigInteger, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "group_id"),
    sqlite_with_rowid=False,
)

alert = Table(
    "alert",
    metadata,
    Column("id", Key, primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("previous_id", BigInteger, nullable=True),
    Column("ordinal", BigInteger, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("evaluated_at", BigInteger, nullable=False),
    Column("manifest_id", BigInteger, nullable=True),
    Column("origin", SmallInteger, nullable=False),
    Column("digested", Boolean, nullable=False),
    Column("payload_id", BigInteger, nullable=True),
    Column("outcome", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=True),
    Index(
        "ix_alert_shared_payload",
        "payload_id",
        postgresql_where=text("payload_id <> id"),
        sqlite_where=text("payload_id <> id"),
    ),
    sqlite_autoincrement=True,
)
"""Only ever appended to, whatever the group: alerts of a group are a chain by `previous_id`, not an index, because an
index would dirty a page of its own for every alert. `ordinal` counts within the group from 1. `payload_id` names the
alert whose `body` (zstd) is the payload: itself, or an earlier one of the same request with equal content; null once
the payload is gone. `outcome` is JSON.
"""

log_entry = Table(
    "log_entry",
    metadata,
    Column("id", Key, primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", SmallInteger, nullable=True),
    Column("alert_id", BigInteger, nullable=True),
    Column("details", Text, nullable=False),
    Index("ix_log_entry_group_id", "group_id", "id"),
    sqlite_autoincrement=True,
)
"""`details` is a JSON object of short texts; the reason is one of them."""

duplicate = Table(
    "duplicate",
    metadata,
    Column("integration_id", BigInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("alert_id", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index(None, "seen_at"),
    sqlite_with_rowid=False,
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Key, primary_key=True),
    Column("integration_id", BigInteger, nullable=True),
    Column("received_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "received_at"),
    sqlite_autoincrement=True,
)

# --- time -----------------------------------------------------------------------------------------------------------

timer = Table(
    "timer",
    metadata,
    Column("id", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("claimed_by", Text, nullable=True),
    Column("attempts", Integer, nullable=False),
    UniqueConstraint("kind", "subject"),
    Index(None, "due_at"),
    sqlite_autoincrement=True,
)
"""A claim moves `due_at` to the end of its lease. Rescheduling raises `version`, so that an old claim cannot finish it."""

heartbeat = Table(
    "heartbeat",
    metadata,
    Column("integration_id", ForeignKey("identity.id"), primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("last_seen", BigInteger, nullable=True),
    Column("changed_at", BigInteger, nullable=False),
)

window_occurrence = Table(
    "window_occurrence",
    metadata,
    Column("id", Key, primary_key=True),
    Column("window_id", ForeignKey("identity.id"), nullable=False),
    Column("integration_id", ForeignKey("identity.id"), nullable=False),
    Column("mode", Text, nullable=False),
    Column("on_end", Text, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),
    Column("group_id", BigInteger, nullable=True),
    Column("ended_at", BigInteger, nullable=True),
    UniqueConstraint("window_id", "integration_id", "starts_at"),
    Index(
        "ix_window_occurrence_running",
        "ends_at",
        postgresql_where=text("ended_at IS NULL"),
        sqlite_where=text("ended_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)
"""`group_id`: the maintenance group, made when the first group needs it."""

window_group = Table(
    "window_group",
    metadata,
    Column("occurrence_id", BigInteger, primary_key=True, autoincrement=False),
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Index(None, "group_id"),
    sqlite_with_rowid=False,
)
"""Groups that were opened while an occurrence covered them."""

# --- somebody is told -----------------------------------------------------------------------------------------------

event = Table(
    "event",
    metadata,
    Column("id", Key, primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("via", SmallInteger, nullable=True),
    Column("details", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What happened to a group and nobody was told yet: written with it, deleted with what was done about it. `kind` and
`details` are those of the log.
"""

escalation = Table(
    "escalation",
    metadata,
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("run", LargeBinary, nullable=False),
    Column("resume_at", BigInteger, nullable=True),
    Column("paused", Boolean, nullable=False),
    Column("seen_alert_id", BigInteger, nullable=True),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=True),
    Column("failures", Integer, nullable=False),
    Index(
        "ix_escalation_resume_at",
        "resume_at",
        postgresql_where=text("resume_at IS NOT NULL"),
        sqlite_where=text("resume_at IS NOT NULL"),
    ),
    Index("ix_escalation_paused", "group_id", postgresql_where=text("paused"), sqlite_where=text("paused")),
)
"""The one escalation of a group, running or over; `run` is JSON (`flow.escalation.run.Run`).

`resume_at`: its next step; null while it is paused and once it is over. `seen_alert_id`: the last alert when it paused,
so that a later one resumes it. `failures`: of the same step in a row.
"""

turn = Table(
    "turn",
    metadata,
    Column("chain", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("responder", Text, nullable=False),
)
"""Who was told last by a round robin step of a chain; shared by all groups."""

personal = Table(
    "personal",
    metadata,
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("responder", Text, primary_key=True),
    Column("run", LargeBinary, nullable=False),
    Column("resume_at", BigInteger, nullable=True),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=True),
    Column("failures", Integer, nullable=False),
    Index(
        "ix_personal_resume_at",
        "resume_at",
        postgresql_where=text("resume_at IS NOT NULL"),
        sqlite_where=text("resume_at IS NOT NULL"),
    ),
)
"""A responder's own rules at work for a group; `run` is JSON (`flow.escalation.personal.PersonalRun`)."""

delivery = Table(
    "delivery",
    metadata,
    Column("id", Key, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("responder", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("group_id", BigInteger, nullable=True),
    Column("data", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_by", Text, nullable=True),
    Column("claimed_until", BigInteger, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("first_attempt_at", BigInteger, nullable=True),
    Column("finished_at", BigInteger, nullable=True),
    Column("reason", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("receipt", Text, nullable=False),
    Index("ix_delivery_due_at", "due_at", postgresql_where=text("state = 0"), sqlite_where=text("state = 0")),
    Index("ix_delivery_group_id", "group_id", "id"),
    Index(
        "ix_delivery_finished_at",
        "finished_at",
        postgresql_where=text("finished_at IS NOT NULL"),
        sqlite_where=text("finished_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""One message on its way to one place. `key` names the occasion, so that nothing is said twice. `state`: 0 pending,
1 delivered, 2 failed, 3 dropped. A claim moves `due_at` to the end of its lease.
"""

posted = Table(
    "posted",
    metadata,
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", Text, primary_key=True),
    Column("reference", Text, nullable=False),
    Column("shown", Text, nullable=False),
    Column("alerts_count", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Index("ix_posted_open", "updated_at", postgresql_where=text("open"), sqlite_where=text("open")),
)
"""The message of a group in a channel. `reference`: what its vendor wants for an edit. `alerts_count`, `state` and
`shown` are what it says now. `open`: it is to be kept up to date.
"""

channel_health = Table(
    "channel_health",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("last_sent", BigInteger, nullable=True),
    Column("last_error", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("failing_since", BigInteger, nullable=True),
    Column("failures", Integer, nullable=False),
)
"""`failures` in a row; `last_error` is one line without secrets and stays until the next success."""

webhook_run = Table(
    "webhook_run",
    metadata,
    Column("id", Key, primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("webhook", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("headers", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("response", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("field", Text, nullable=False),
    Index("ix_webhook_run_group_id", "group_id", "id"),
    Index("ix_webhook_run_webhook", "webhook", "id"),
    sqlite_autoincrement=True,
)
"""One try of an outgoing webhook. `status` 0: no answer. `field`: the part of the webhook that failed, if one did."""

note = Table(
    "note",
    metadata,
    Column("id", Key, primary_key=True),
    Column("group_id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("via", SmallInteger, nullable=True),
    Column("text", Text, nullable=False),
    Index("ix_note_group_id", "group_id", "id"),
    sqlite_autoincrement=True,
)
"""What people wrote about a group."""

paged = Table(
    "paged",
    metadata,
    Column("group_id", BigInteger, primary_key=True, autoincrement=False),
    Column("responder", Text, primary_key=True),
    Column("important", Boolean, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
)
"""Whom somebody paged by hand into a group and has not un-paged since."""
