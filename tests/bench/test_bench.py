"""The benchmarks work: every part, small and short. What they measure is asserted nowhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {
    "ingest": {"ingest_ratio", "bare_per_second", "bare_cpu_us", "ingest_per_second", "ingest_cpu_us"},
    "latency": {"latency_ingest_p50_ms", "latency_ingest_p99_ms", "latency_bare_p50_ms"},
    "alertmanager": {"alertmanager_1_per_second", "alertmanager_1_cpu_us", "alertmanager_20_cpu_ratio"},
    "choice": {"route_choice_ratio", "evaluate_ratio"},
    "routes": {"routes_10_cpu_us", "routes_40_cpu_us", "routes_receiver_ratio"},
    "groups": {"groups_10_cpu_us", "groups_40_cpu_ratio"},
    "integrations": {"integrations_1_cpu_us", "integrations_4_cpu_ratio"},
    "store": {"store_ratio", "store_10_batch_32_us"},
    "compile": {"compile_seconds", "compile_change_seconds", "compile_resources"},
    "notify": {"notify_p50_seconds", "notify_p99_seconds", "notify_alertmanager_p99_seconds"},
    "live": {"live_median_seconds", "live_worst_seconds"},
    "cluster": {"cluster_live_p99_seconds", "cluster_start_seconds", "cluster_memory_mib"},
    "templates": {
        "templates_jinja_one_by_one_us",
        "templates_jinja_shared_context_us",
        "templates_specialised_us",
    },
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=1_400
    )


# The first run on a machine builds the control plane, as the tests of the cluster do: together with those.
BUILDS = (pytest.mark.xdist_group("cluster"), pytest.mark.timeout(1_500))


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=BUILDS if part == "cluster" else ()) for part in PARTS]
)
def test_every_part_gives_its_figures(part: str, tmp_path: Path) -> None:
    """A part alone ends with 0, prints a table, and writes one flat object of numbers above zero."""
    results = tmp_path / "results.json"
    done = run(part, "--quick", "--results", str(results))
    assert done.returncode == 0, done.stdout + done.stderr
    assert part in done.stdout
    figures = json.loads(results.read_text())
    assert PARTS[part] <= figures.keys()
    assert all(isinstance(value, float | int) and value > 0 for value in figures.values()), figures


def test_unknown_parts_are_refused(tmp_path: Path) -> None:
    """A part that does not exist is named together with those that do; nothing is measured."""
    results = tmp_path / "results.json"
    done = run("nothing", "--results", str(results))
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert all(part in done.stderr for part in PARTS)
    assert not results.exists()


def test_what_fails_to_run_is_said_and_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    """Without wrk there is no load: that part fails and the exit code is 1, the others are measured all the same."""
    results = tmp_path / "results.json"
    done = subprocess.run(  # noqa: PLW1510
        [sys.executable, "-m", "bench", "latency", "templates", "--quick", "--results", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1_400,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "could not be measured: latency" in done.stderr
    assert PARTS["templates"] <= json.loads(results.read_text()).keys()
