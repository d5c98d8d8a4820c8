"""Durable ingest against the bare handler: requests per second of both, in turns, on one machine.

One alert a request, nine templates, 100 routes, 64 connections, SQLite with synchronous=FULL. The budget of the design is at
least 0.5 of the bare handler's rate, the aim 0.7. Needs `wrk`. `python -m bench.ingest [ROUNDS]` prints a line per round.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
CONNECTIONS = 64
SECONDS = 4
WARM_UP = 1
ROUTES = 100

INTEGRATION = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: bench}
spec:
  type: alertmanager
  templates:
    groupingId: '{{ payload.groupKey }}'
    acknowledge: '{{ payload.status == "acknowledged" }}'
    resolve: '{{ payload.status == "resolved" }}'
    sourceLink: '{{ payload.alerts[0].generatorURL }}'
    appearance:
      web: {title: '{{ payload.groupLabels.alertname }} ({{ payload.commonLabels.severity }})'}
---
apiVersion: tocsin.dev/v1alpha1
kind: LabelRule
metadata: {name: bench}
spec:
  integrationRefs: [{name: bench}]
  dynamic:
    - {key: severity, template: '{{ payload.commonLabels.severity }}'}
    - {key: job, template: '{{ payload.commonLabels.job }}'}
    - {key: alertname, template: '{{ payload.commonLabels.alertname }}'}
    - {key: receiver, template: '{{ payload.receiver }}'}
"""

ROUTE = """
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: route-%03d}
spec: {parentRefs: [{name: bench}], match: {template: '{{ payload.commonLabels.team == "team-%d" }}'}}
"""

SCRIPT = """
local file = io.open("%s", "r")
local template = file:read("*a")
file:close()
local count = os.time() * 1000000
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  count = count + 1
  local body = template:gsub("@GROUP@", tostring(count %% 50)):gsub("@TEAM@", tostring(count %% 100))
  return wrk.format(nil, nil, nil, (body:gsub("@MOMENT@", tostring(count))))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`refused`: answers other than 2xx. `cpu`: seconds of the server's processor per request."""

    per_second: float
    refused: int
    cpu: float


def body() -> str:
    """An ordinary notification; every request differs in one alert's start, group and team, as real ones do."""
    payload = json.loads((ROOT / "tests/payloads/alertmanager/firing.json").read_text())
    payload["groupKey"] = "{}:{group=@GROUP@}"
    payload["commonLabels"]["team"] = "team-@TEAM@"
    payload["alerts"][0]["startsAt"] = "moment-@MOMENT@"
    return json.dumps(payload, separators=(",", ":"))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(arguments: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process that answers on the port."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1).close()
                break
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    break
            except OSError:
                time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def load(process: subprocess.Popen[bytes], url: str, script: Path) -> Rate:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-s", str(script)]
    subprocess.run([*command, f"-d{WARM_UP}s", url], check=True, capture_output=True)
    before = processor_seconds(process)
    output = subprocess.run(
        [*command, f"-d{SECONDS}s", url], check=True, capture_output=True, text=True
    ).stdout
    spent = processor_seconds(process) - before
    requests = int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return Rate(
        per_second=float(re.search(r"Requests/sec: +([0-9.]+)", output)[1]),  # type: ignore[index]
        refused=int(refused[1]) if refused else 0,
        cpu=spent / requests,
    )


def bare(script: Path) -> Rate:
    port = free_port()
    with running(["bench.bare", str(port)], port) as process:
        return load(process, f"http://127.0.0.1:{port}/integrations/v1/alertmanager/token/", script)


def receiver(script: Path, folder: Path) -> Rate:
    """The whole of `tocsin run`, with a new database."""
    port = free_port()
    database = Path(tempfile.mkdtemp(dir=folder.parent))
    options = ["--listen", f"127.0.0.1:{port}", "--database", f"sqlite:///{database}/tocsin.db"]
    with running(["tocsin", "run", str(folder), *options], port) as process:
        shown = subprocess.run(
            [sys.executable, "-m", "tocsin", "endpoints", "--url", f"http://127.0.0.1:{port}", "-o", "json"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        return load(process, json.loads(shown)[0]["url"], script)


def measure(rounds: int = 3) -> list[tuple[Rate, Rate]]:
    """Bare handler and receiver, in turns."""
    work = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    try:
        folder = work / "manifests"
        folder.mkdir()
        routes = "".join(ROUTE % (number, number) for number in range(ROUTES))
        (folder / "flow.yaml").write_text(INTEGRATION + routes)
        (work / "body.json").write_text(body())
        script = work / "load.lua"
        script.write_text(SCRIPT % (work / "body.json"))
        return [(bare(script), receiver(script, folder)) for _ in range(rounds)]
    finally:
        shutil.rmtree(work)


def main() -> None:
    results = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    for plain, durable in results:
        print(
            f"bare {plain.per_second:8.0f}/s {plain.cpu * 1e6:6.1f} us  "
            f"durable {durable.per_second:8.0f}/s {durable.cpu * 1e6:6.1f} us  "
            f"ratio {durable.per_second / plain.per_second:.2f}  refused {durable.refused}"
        )
    print(f"median ratio {median(durable.per_second / plain.per_second for plain, durable in results):.2f}")


if __name__ == "__main__":
    main()
