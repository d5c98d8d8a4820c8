"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

COMPATIBLE_FROM = "0001"
"""The oldest schema whose Tocsin still works after this migration."""

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_alert()
    _create_alert_group()
    _create_credential()
    _create_dead_letter()
    _create_duplicate()
    _create_fragment()
    _create_group_label()
    _create_group_tally()
    _create_identity()
    _create_label()
    _create_leadership()
    _create_log_entry()
    _create_manifest()
    _create_replica()
    _create_setting()
    _create_snapshot()
    _create_timer()
    _create_window_group()
    _create_endpoint_token()
    _create_heartbeat()
    _create_revision()
    _create_window_occurrence()


def _create_alert() -> None:
    op.create_table(
        "alert",
        sa.Column("id", KEY, nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("previous_id", sa.BigInteger(), nullable=True),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("evaluated_at", sa.BigInteger(), nullable=False),
        sa.Column("manifest_id", sa.BigInteger(), nullable=True),
        sa.Column("origin", sa.SmallInteger(), nullable=False),
        sa.Column("digested", sa.Boolean(), nullable=False),
        sa.Column("payload_id", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alert_shared_payload",
        "alert",
        ["payload_id"],
        unique=False,
        postgresql_where=sa.text("payload_id <> id"),
        sqlite_where=sa.text("payload_id <> id"),
    )


def _create_alert_group() -> None:
    op.create_table(
        "alert_group",
        sa.Column("id", KEY, nullable=False),
        sa.Column("integration_id", sa.BigInteger(), nullable=False),
        sa.Column("route_id", sa.BigInteger(), nullable=False),
        sa.Column("grouping", sa.SmallInteger(), nullable=False),
        sa.Column("grouping_key", sa.LargeBinary(), nullable=True),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("first_alert_id", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_cause", sa.Text(), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("silenced_at", sa.BigInteger(), nullable=True),
        sa.Column("silenced_until", sa.BigInteger(), nullable=True),
        sa.Column("silenced_by", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("resolved_cause", sa.Text(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("response_time", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("occurrence_id", sa.BigInteger(), nullable=True),
        sa.Column("suppressed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("demo", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("wiped", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("escalate_at", sa.BigInteger(), nullable=True),
        sa.Column("renotified_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_group")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alert_group_acknowledged",
        "alert_group",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 1"),
        sqlite_where=sa.text("state = 1"),
    )
    op.create_index(
        "ix_alert_group_firing",
        "alert_group",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 0"),
        sqlite_where=sa.text("state = 0"),
    )
    op.create_index(
        "ix_alert_group_grouping_key",
        "alert_group",
        ["integration_id", "grouping_key", "id"],
        unique=False,
        postgresql_where=sa.text("grouping_key IS NOT NULL"),
        sqlite_where=sa.text("grouping_key IS NOT NULL"),
    )
    op.create_index("ix_alert_group_integration_id", "alert_group", ["integration_id", "id"], unique=False)
    op.create_index(
        "ix_alert_group_parent_id",
        "alert_group",
        ["parent_id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_alert_group_resolved_at",
        "alert_group",
        ["resolved_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NOT NULL"),
        sqlite_where=sa.text("resolved_at IS NOT NULL"),
    )
    op.create_index(
        "ix_alert_group_silenced",
        "alert_group",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 2"),
        sqlite_where=sa.text("state = 2"),
    )
    op.create_index(
        "ux_alert_group_open",
        "alert_group",
        ["integration_id", "grouping_key", "route_id", "place"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL AND grouping_key IS NOT NULL"),
        sqlite_where=sa.text("resolved_at IS NULL AND grouping_key IS NOT NULL"),
    )


def _create_credential() -> None:
    op.create_table(
        "credential",
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("namespace", "name", "key", name=op.f("pk_credential")),
    )


def _create_dead_letter() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("id", KEY, nullable=False),
        sa.Column("integration_id", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_dead_letter_received_at"), "dead_letter", ["received_at"], unique=False)


def _create_duplicate() -> None:
    op.create_table(
        "duplicate",
        sa.Column("integration_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("integration_id", "key", name=op.f("pk_duplicate")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_duplicate_seen_at"), "duplicate", ["seen_at"], unique=False)


def _create_fragment() -> None:
    op.create_table(
        "fragment",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_fragment")),
    )


def _create_group_label() -> None:
    op.create_table(
        "group_label",
        sa.Column("label_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("label_id", "group_id", name=op.f("pk_group_label")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_group_label_group_id"), "group_label", ["group_id"], unique=False)


def _create_group_tally() -> None:
    op.create_table(
        "group_tally",
        sa.Column("group_id", KEY, autoincrement=False, nullable=False),
        sa.Column("alerts_count", sa.BigInteger(), nullable=False),
        sa.Column("last_alert_id", sa.BigInteger(), nullable=True),
        sa.Column("last_alert_at", sa.BigInteger(), nullable=False),
        sa.Column("digested_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("digest_first_id", sa.BigInteger(), nullable=True),
        sa.Column("digest_last_id", sa.BigInteger(), nullable=True),
        sa.Column("spared_to", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_group_tally")),
    )


def _create_identity() -> None:
    op.create_table(
        "identity",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity")),
        sa.UniqueConstraint("kind", "namespace", "name", name=op.f("uq_identity_kind_namespace_name")),
        sa.UniqueConstraint("public_id", name=op.f("uq_identity_public_id")),
        sqlite_autoincrement=True,
    )


def _create_label() -> None:
    op.create_table(
        "label",
        sa.Column("id", KEY, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label")),
        sa.UniqueConstraint("key", "value", name=op.f("uq_label_key_value")),
        sqlite_autoincrement=True,
    )


def _create_leadership() -> None:
    op.create_table(
        "leadership",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leadership")),
    )


def _create_log_entry() -> None:
    op.create_table(
        "log_entry",
        sa.Column("id", KEY, nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("via", sa.SmallInteger(), nullable=True),
        sa.Column("alert_id", sa.BigInteger(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_entry")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_log_entry_group_id", "log_entry", ["group_id", "id"], unique=False)


def _create_manifest() -> None:
    op.create_table(
        "manifest",
        sa.Column("id", KEY, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("base_id", KEY, nullable=True),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["base_id"], ["manifest.id"], name=op.f("fk_manifest_base_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manifest")),
        sa.UniqueConstraint("digest", name=op.f("uq_manifest_digest")),
        sqlite_autoincrement=True,
    )


def _create_replica() -> None:
    op.create_table(
        "replica",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replica")),
    )


def _create_setting() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_setting")),
    )


def _create_snapshot() -> None:
    op.create_table(
        "snapshot",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path", name=op.f("pk_snapshot")),
    )


def _create_timer() -> None:
    op.create_table(
        "timer",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timer")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_timer_kind_subject")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_timer_due_at"), "timer", ["due_at"], unique=False)


def _create_window_group() -> None:
    op.create_table(
        "window_group",
        sa.Column("occurrence_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("group_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("occurrence_id", "group_id", name=op.f("pk_window_group")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_window_group_group_id"), "window_group", ["group_id"], unique=False)


def _create_endpoint_token() -> None:
    op.create_table(
        "endpoint_token",
        sa.Column("id", KEY, nullable=False),
        sa.Column("integration_id", KEY, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=True),
        sa.Column("entombed_until", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["identity.id"], name=op.f("fk_endpoint_token_integration_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_token")),
        sa.UniqueConstraint("sha256", name=op.f("uq_endpoint_token_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_endpoint_token_integration_id"), "endpoint_token", ["integration_id"], unique=False
    )


def _create_heartbeat() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("integration_id", KEY, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("last_seen", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["identity.id"], name=op.f("fk_heartbeat_integration_id")
        ),
        sa.PrimaryKeyConstraint("integration_id", name=op.f("pk_heartbeat")),
    )


def _create_revision() -> None:
    op.create_table(
        "revision",
        sa.Column("number", KEY, nullable=False),
        sa.Column("manifest_id", KEY, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["manifest_id"], ["manifest.id"], name=op.f("fk_revision_manifest_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revision")),
        sqlite_autoincrement=True,
    )


def _create_window_occurrence() -> None:
    op.create_table(
        "window_occurrence",
        sa.Column("id", KEY, nullable=False),
        sa.Column("window_id", KEY, nullable=False),
        sa.Column("integration_id", KEY, nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("on_end", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["identity.id"], name=op.f("fk_window_occurrence_integration_id")
        ),
        sa.ForeignKeyConstraint(["window_id"], ["identity.id"], name=op.f("fk_window_occurrence_window_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_window_occurrence")),
        sa.UniqueConstraint(
            "window_id",
            "integration_id",
            "starts_at",
            name=op.f("uq_window_occurrence_window_id_integration_id_starts_at"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_window_occurrence_running",
        "window_occurrence",
        ["ends_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NULL"),
    )
