"""``python -m benchmarks``: run all benchmarks, or those named with ``--only``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable

from benchmarks import (
    aggregates,
    backpressure,
    engine_tax,
    kafka_fetch,
    kafka_latency,
    kafka_windows,
    latency,
    sessions,
    sql,
    state,
    windows,
)
from benchmarks.report import Report

BENCHMARKS: dict[str, Callable[[], Report]] = {
    "engine_tax": engine_tax.measure,
    "state": state.measure,
    "latency": latency.measure,
    "backpressure": backpressure.measure,
    "kafka_fetch": kafka_fetch.measure,
    "sql": sql.measure,
    "kafka_latency": kafka_latency.measure,
    "kafka_windows": kafka_windows.measure,
    "windows": windows.measure,
    "aggregates": aggregates.measure,
    "sessions": sessions.measure,
}


def main() -> None:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the engine.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; may be given several times")
    parser.add_argument("--json", action="store_true", help="print one JSON object a benchmark, a line each")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and end")
    options = parser.parse_args()
    if options.list:
        for name, measure in BENCHMARKS.items():
            print(f"{name:<14}{(sys.modules[measure.__module__].__doc__ or '').splitlines()[0]}")
        return
    if not options.json:
        load = ", ".join(f"{load:.1f}" for load in os.getloadavg())
        print(f"Python {platform.python_version()}, {os.cpu_count()} processors, load {load} when it began\n")
    for name in options.only or BENCHMARKS:
        report = BENCHMARKS[name]()
        print(json.dumps(dataclasses.asdict(report)) if options.json else f"{report}\n", flush=True)


if __name__ == "__main__":
    main()
