"""Logs and metrics of one process: a registry and a logger that are passed around, never global."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import structlog
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import choose_encoder
from structlog.typing import FilteringBoundLogger, Processor

from tocsin import __version__

_TOKEN_PATH = re.compile(r"(/integrations/v1/[^/\s]+/+)[^/\s?\"']+")
_ROW = re.compile(r"(\bDETAIL:  ).*?(?=\n[A-Z]+:  |\n\n|\n\[SQL|\Z)", re.DOTALL)
"""What PostgreSQL says beneath an error quotes the row."""
_SECRET_KEYS = frozenset(
    {
        "authorization",
        "cookie",
        "password",
        "secret",
        "token",
        "bearer",
        "credential",
        "credentials",
        "signature",
    }
)
MASK = "[redacted]"

LogFormat = Literal["json", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What every part of a process reports to. `registry` holds only this process's metrics."""

    registry: CollectorRegistry
    log: FilteringBoundLogger

    @classmethod
    def create(
        cls,
        *,
        level: str = "info",
        log_format: LogFormat = "json",
        stream: TextIO | None = None,
        process_metrics: bool = True,
    ) -> Telemetry:
        """`level` as in `logging` (any case). Raises ValueError for an unknown level."""
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            raise ValueError(f"log level {level!r}: use one of debug, info, warning, error")
        registry = CollectorRegistry(auto_describe=True)
        if process_metrics:
            ProcessCollector(registry=registry)
        build = Gauge(
            "tocsin_build_info", "Version of this process; always 1.", ("version",), registry=registry
        )
        build.labels(__version__).set(1)
        log = structlog.wrap_logger(
            structlog.WriteLogger(stream or sys.stderr),
            processors=(*_shared(), *_final(log_format)),
            wrapper_class=structlog.make_filtering_bound_logger(number),
            context_class=dict,
            cache_logger_on_first_use=True,
        )
        return cls(registry=registry, log=log)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics page and its content type, in the format that the Accept header asks for."""
        encoder, content_type = choose_encoder(accept)
        return encoder(self.registry), content_type


def standard_handler(log_format: LogFormat, stream: TextIO | None = None) -> logging.Handler:
    """A handler for `logging` that writes libraries' records in the same shape, secrets masked.

    The command line attaches it to the root logger; nothing here touches global state.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=(*_shared(), structlog.stdlib.add_logger_name),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_final(log_format)],
        )
    )
    return handler


def mask_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Masks values under secret-looking keys, the token in every text that holds an endpoint's path, and quoted rows."""
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS and value:
            event[key] = MASK
        elif isinstance(value, str):
            event[key] = _ROW.sub(rf"\1{MASK}", _TOKEN_PATH.sub(rf"\1{MASK}", value))
    return event


def _shared() -> tuple[Processor, ...]:
    return (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )


def _final(log_format: LogFormat) -> tuple[Processor, ...]:
    if log_format == "text":
        return (
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.dev.ConsoleRenderer(colors=False),
        )
    return (
        structlog.processors.format_exc_info,
        mask_secrets,
        structlog.processors.JSONRenderer(),
    )
