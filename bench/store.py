"""Cost of durable ingest in the store alone: microseconds per alert, for batches of 1, 8, 32 and 64.

`python bench/store.py [postgresql://...]`. CPU is that of this process; wall includes the disk. The second table holds
the batch at 32 and grows what is open, to show that cost stays flat.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from sqlalchemy.engine import make_url

from tocsin.api.common import Identity
from tocsin.flow.decision import Decision, Grouping, Outcome
from tocsin.flow.model import Flow, Micros, Target, digest_of
from tocsin.store import revisions
from tocsin.store.arrivals import Arrival
from tocsin.store.backend import Backend
from tocsin.store.sqlite import Sqlite

PAYLOAD = orjson.dumps(
    {
        "status": "firing",
        "groupKey": '{}/{alertname="HighLoad"}:{cluster="eu-1"}',
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighLoad", "severity": "critical", "instance": f"node-{n}:9100"},
                "annotations": {
                    "summary": f"load on node-{n} is {n * 7 % 13} for ten minutes",
                    "runbook": "x" * 40,
                },
                "startsAt": "2026-01-01T00:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()[:16],
            }
            for n in range(4)
        ],
    }
)
FLOW = Flow(manifest={}, fragments={}, digest=digest_of(b"bench"))
LABELS = tuple((f"label-{n}", f"value-{n}") for n in range(5))


def arrival(integration: int, group: int, at: int, *, resolve: bool = False) -> Arrival:
    grouping_id = f'{{}}/{{alertname="HighLoad"}}:{{cluster="eu-{group}"}}'
    route = f"payments/route-{group % 20}"
    title = f"HighLoad on cluster eu-{group} (critical)"
    return Arrival(
        integration=Identity("Integration", "payments", f"integration-{integration}"),
        decision=Decision(
            route=route,
            target=Target(),
            title=title,
            grouping=Grouping.BY_ID,
            grouping_id=grouping_id,
            grouping_key=hashlib.sha256(grouping_id.encode()).digest(),
            acknowledge=False,
            resolve=resolve,
            source_link="https://prometheus.example.org/graph?g0.expr=load",
            labels=dict(LABELS),
            kept_labels=LABELS,
            windows=(),
            outcome=Outcome(
                route=route,
                title=title,
                grouping_id=grouping_id,
                source_link="https://prometheus.example.org/graph?g0.expr=load",
            ),
        ),
        payload=PAYLOAD,
        received_at=Micros(at),
        now=Micros(at),
        manifest=FLOW.digest,
    )


def measure(
    backend: Backend, *, batch: int, groups: int, integrations: int, alerts: int
) -> tuple[float, float]:
    """Microseconds of CPU and of wall time per joining alert."""
    chosen = random.Random(1)
    made = [
        arrival(group % integrations, group, 1_700_000_000_000_000 + n)
        for n, group in enumerate(chosen.choices(range(groups), k=alerts))
    ]
    calls = [[(one,) for one in made[at : at + batch]] for at in range(0, alerts, batch)]
    cpu, wall = time.process_time(), time.perf_counter()
    for some in calls:
        backend.ingest(some)
    return (time.process_time() - cpu) / alerts * 1e6, (time.perf_counter() - wall) / alerts * 1e6


def fill(backend: Backend, *, groups: int, integrations: int) -> float:
    """Open the groups, 500 at a time; microseconds of CPU per new group."""
    cpu = time.process_time()
    for at in range(0, groups, 500):
        backend.ingest(
            [
                (arrival(group % integrations, group, 1_700_000_000_000_000),)
                for group in range(at, min(at + 500, groups))
            ]
        )
    return (time.process_time() - cpu) / groups * 1e6


def measure_growth(sizes: Sequence[int], alerts: int) -> dict[str, float]:
    """Microseconds of CPU per alert: ever more open groups, ten of them an Integration, 32 alerts a transaction."""
    small, large = sizes[0], sizes[-1]
    found: dict[str, float] = {}
    home = tempfile.mkdtemp()
    backend = Sqlite(Path(home) / "bench.db")
    try:
        backend.write(lambda connection: revisions.publish(connection, FLOW, 1))
        for groups in sizes:
            integrations = max(1, groups // 10)
            opening = fill(backend, groups=groups, integrations=integrations)
            if groups == large:
                found[f"store_{groups}_opening_us"] = opening
            for batch, count in ((1, alerts // 8), (32, alerts)) if groups == small else ((32, alerts),):
                measure(backend, batch=batch, groups=groups, integrations=integrations, alerts=count // 4)
                found[f"store_{groups}_batch_{batch}_us"] = measure(
                    backend, batch=batch, groups=groups, integrations=integrations, alerts=count
                )[0]
    finally:
        backend.close()
        shutil.rmtree(home)
    found["store_ratio"] = found[f"store_{large}_batch_32_us"] / found[f"store_{small}_batch_32_us"]
    return found


def opened(url: str | None, home: str) -> Backend:
    if url is None:
        return Sqlite(Path(home) / "bench.db")
    from tocsin.store.postgresql import Postgresql

    return Postgresql(make_url(url))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "url", nargs="?", help="an empty PostgreSQL database; SQLite in a temporary folder without"
    )
    parser.add_argument("--home", help="folder for SQLite's file", default=None)
    parser.add_argument("--alerts", type=int, default=16_000)
    arguments = parser.parse_args()
    home = tempfile.mkdtemp(dir=arguments.home)
    backend = opened(arguments.url, home)
    try:
        backend.write(lambda connection: revisions.publish(connection, FLOW, 1))
        print("open groups  integrations  batch  us CPU/alert  us wall/alert")
        have = 0
        for groups, integrations in ((10, 1), (1_000, 10), (10_000, 1_000), (100_000, 10_000)):
            created = fill(backend, groups=groups, integrations=integrations)
            have = max(have, groups)
            sizes = (1, 8, 32, 64) if groups == 1_000 else (32,)
            for batch in sizes:
                alerts = arguments.alerts // (8 if batch == 1 else 1)
                measure(backend, batch=batch, groups=groups, integrations=integrations, alerts=alerts // 4)
                cpu, wall = measure(
                    backend, batch=batch, groups=groups, integrations=integrations, alerts=alerts
                )
                print(f"{groups:11,} {integrations:13,} {batch:6} {cpu:13.1f} {wall:14.1f}")
            print(f"{groups:11,} {integrations:13,}    opening a group: {created:.1f} us CPU")
    finally:
        backend.close()
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
