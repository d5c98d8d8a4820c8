"""Alembic's entry point: always on a connection that `schema.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from tocsin.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
