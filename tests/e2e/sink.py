"""An HTTP server on loopback that remembers what channels and webhooks sent, in the order in which it came."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Hit:
    """One request. `key` is its `Idempotency-Key`."""

    path: str
    key: str
    headers: dict[str, str]
    text: str
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Sink:
    """`delay`: seconds before it answers. `answer`: status and headers of an answer, 200 where it is not set."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.delay = 0.0
        self.answer: Callable[[Hit], tuple[int, dict[str, str]]] = lambda _: (200, {})
        self._lock = threading.Lock()
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                found = Hit(
                    path=self.path,
                    key=self.headers.get("Idempotency-Key", ""),
                    headers=dict(self.headers),
                    text=text,
                    at=time.monotonic(),
                )
                with sink._lock:
                    sink.hits.append(found)
                time.sleep(sink.delay)
                status, headers = sink.answer(found)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_PUT = do_POST

            def log_message(self, *_: object) -> None:
                return

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:  # whoever sent was killed
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self._server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def at(self, path: str) -> list[Hit]:
        with self._lock:
            return [hit for hit in self.hits if hit.path == path]

    def keys(self) -> dict[str, set[str]]:
        """Path -> the different keys that came there."""
        found: dict[str, set[str]] = defaultdict(set)
        with self._lock:
            for hit in self.hits:
                found[hit.path].add(hit.key)
        return dict(found)
