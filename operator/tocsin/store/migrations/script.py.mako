"""${message}"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

COMPATIBLE_FROM = ${repr(up_revision)}
"""The oldest schema whose Tocsin still works after this migration (expand: the one before; contract: this one)."""


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
