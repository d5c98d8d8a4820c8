"""Alembic migrations, packaged so that every role can run them (`schema.migrate`)."""
