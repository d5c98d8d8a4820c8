"""`python -m bench [PART...]`: measures the budgets of the design on this machine, as ratios where that is possible.

Prints a table and writes the figures to `bench/results.json`. A missed budget is shown, not punished: the exit code is 1
only if something could not be measured.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import choice, cluster, growth, ingest, live, notify, report, templates
from bench import compile as compiling
from bench import store as storing
from bench.scale import FULL, QUICK, Scale

RESULTS = Path(__file__).parent / "results.json"

Measure = Callable[[Scale], dict[str, float]]


def _templates(scale: Scale) -> dict[str, float]:
    found = templates.measure(number=2_000 if scale is FULL else 20)
    figures = {f"templates_{name}_us": value for name, value in found.items()}
    return {"templates_ratio": found["specialised"] / found["jinja_one_by_one"], **figures}


def _compile(scale: Scale) -> dict[str, float]:
    spread = compiling.measure(scale.namespaces)
    together = compiling.measure_one_integration(scale.namespaces * 100)
    return {
        "compile_resources": spread["resources"],
        "compile_seconds": spread["cold_seconds"],
        "compile_change_seconds": spread["change_median_seconds"],
        "compile_change_worst_seconds": spread["change_worst_seconds"],
        "compile_one_integration_seconds": together["cold_seconds"],
        "compile_one_integration_change_seconds": together["change_median_seconds"],
    }


def _store(scale: Scale) -> dict[str, float]:
    return storing.measure_growth(scale.groups, alerts=scale.stored)


PARTS: Mapping[str, Measure] = {
    "ingest": ingest.measure,
    "latency": ingest.measure_latency,
    "alertmanager": ingest.measure_alertmanager,
    "choice": choice.measure,
    "routes": growth.measure_routes,
    "groups": growth.measure_groups,
    "integrations": growth.measure_integrations,
    "store": _store,
    "compile": _compile,
    "live": live.measure,
    "cluster": cluster.measure,
    "notify": notify.measure,
    "templates": _templates,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all, or some of: {', '.join(PARTS)}")
    parser.add_argument(
        "--quick", action="store_true", help="small and short: shows that it works, not how fast"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures are written")
    options = parser.parse_args()
    unknown = set(options.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print(f"measuring on {report.machine()}", flush=True)
    results, failed = _run(options.parts or list(PARTS), QUICK if options.quick else FULL)
    report.write(options.results, results)
    print(f"\nmeasured on {report.machine()}; figures in {options.results}")
    missed = report.missed(results)
    print(f"budgets missed: {', '.join(missed)}" if missed else "no budget missed")
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _run(parts: list[str], scale: Scale) -> tuple[dict[str, float], list[str]]:
    """All figures, and the parts that failed: one that does keeps no other from being measured."""
    results: dict[str, float] = {}
    failed: list[str] = []
    for part in parts:
        started = time.monotonic()
        try:
            found = PARTS[part](scale)
        except Exception:  # noqa: BLE001 -- whatever it was, the other parts are worth measuring
            traceback.print_exc()
            failed.append(part)
            continue
        results |= found
        title = f"{part} (took {time.monotonic() - started:.0f} s)"
        print("\n".join(report.table(title, found)), flush=True)
    return results, failed


if __name__ == "__main__":
    sys.exit(main())
