"""Load from a second process: wrk, bounded in time, with bodies that differ from request to request."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.servers import Server

CONNECTIONS = 64


class LoadFailed(Exception):
    """Requests were refused or got lost, so the figures mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the load goes and what it is. In `body`, `@NAME@` is replaced for every request: by `@COUNT@`, the number of
    the request, never the same twice; by other names, one after the other of `values[NAME]` (or of that many numbers).
    """

    server: Server
    urls: tuple[str, ...]
    body: str
    values: dict[str, int | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`cpu`: microseconds of the server's processor per request. Latencies in milliseconds."""

    per_second: float
    cpu: float
    p50: float
    p99: float


_SCRIPT = """
local pieces, names, values, paths = %(pieces)s, %(names)s, %(values)s, %(paths)s
local count = %(start)d
local fixed = #names
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
%(delay)s
request = function()
  count = count + 1
  local body = {pieces[1]}
  for at = 1, fixed do
    local known = values[names[at]]
    local value
    if known == nil then value = string.format("%%d", count)
    elseif type(known) == "number" then value = string.format("%%d", math.floor(count %% known))
    else value = known[math.floor(count %% #known) + 1] end
    body[2 * at] = value
    body[2 * at + 1] = pieces[at + 1]
  end
  return wrk.format(nil, paths[math.floor(count %% #paths) + 1], nil, table.concat(body))
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nresult {"requests": %%d, "micros": %%d, "refused": %%d, "lost": %%d, "p50": %%f, "p99": %%f}\\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""

_PAUSE = "delay = function() return math.random(%d, %d) end"


def load(target: Target, work: Path, seconds: int, *, connections: int = CONNECTIONS, pause: int = 0) -> Rate:
    """Sends for so many seconds. `pause`: milliseconds that a connection rests between two requests, on average.

    Raises LoadFailed unless all requests were answered 2xx.
    """
    script = work / f"load-{time.time_ns()}.lua"
    script.write_text(_script(target, pause))
    command = [_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
    before = target.server.processor_seconds
    done = subprocess.run(
        [*command, target.urls[0]], capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    spent = target.server.processor_seconds - before
    script.unlink()
    found = re.search(r"^result (.+)$", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise LoadFailed(f"wrk failed: {done.stdout}{done.stderr}")
    result = json.loads(found[1])
    if result["refused"] or result["lost"] or not result["requests"]:
        raise LoadFailed(f"not every request to {target.server.base} was answered 2xx: {result}")
    return Rate(
        per_second=result["requests"] / result["micros"] * 1e6,
        cpu=spent / result["requests"] * 1e6,
        p50=result["p50"] / 1e3,
        p99=result["p99"] / 1e3,
    )


def alternating(targets: Sequence[Target], work: Path, *, rounds: int, seconds: int) -> list[list[Rate]]:
    """Rounds over all targets in turns, so that what else the machine does meets all of them: one list per target."""
    results: list[list[Rate]] = [[] for _ in targets]
    for _ in range(rounds):
        for target, rates in zip(targets, results, strict=True):
            rates.append(load(target, work, seconds))
    return results


def warm_up(targets: Sequence[Target], work: Path, seconds: int) -> None:
    if seconds:
        alternating(targets, work, rounds=1, seconds=seconds)


def _script(target: Target, pause: int) -> str:
    parts = re.split(r"@([A-Z]+)@", target.body)
    paths = [re.sub(r"^https?://[^/]+", "", url) for url in target.urls]
    held = ", ".join(f"{name} = {_value(value)}" for name, value in target.values.items())
    return _SCRIPT % {
        "pieces": _table(parts[0::2]),
        "names": _table(parts[1::2]),
        "values": f"{{{held}}}",
        "paths": _table(paths),
        # No two runs send the same numbers; Lua's are exact below 2**53.
        "start": time.time_ns() // 1_000_000 * 1_000,
        "delay": _PAUSE % (pause // 2, pause + pause // 2) if pause else "",
    }


def _value(value: int | Sequence[str]) -> str:
    return str(value) if isinstance(value, int) else _table(value)


def _table(texts: Sequence[str]) -> str:
    # JSON escapes \" \\ and \n as Lua does; our texts are ASCII without other control characters.
    return "{" + ", ".join(json.dumps(text) for text in texts) + "}"


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise LoadFailed("wrk is missing: `make services` installs it")
    return found
