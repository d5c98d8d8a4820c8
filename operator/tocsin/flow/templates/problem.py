"""Why a template could not be parsed or rendered."""

from __future__ import annotations

from typing import Literal

Kind = Literal["syntax", "undefined", "security", "budget", "limit", "type", "other"]

MESSAGE_LIMIT = 200
"""Characters of a problem's message, so that payload content never floods traces and statuses."""


class TemplateProblem(Exception):
    """The only exception that templates raise.

    `kind` is a value of `decision.TemplateError.kind`. `line` and `column` are 1-based positions in the template's
    text, where known.
    """

    def __init__(
        self, kind: Kind, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.line is None:
            return f"{self.kind}: {self.message}"
        where = f"line {self.line}" if self.column is None else f"line {self.line}, column {self.column}"
        return f"{self.kind}: {self.message} ({where})"
