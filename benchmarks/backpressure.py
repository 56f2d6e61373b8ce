"""Backpressure: a TCP client sends as fast as it can into a job whose sink is slow.

The job, its client and this sampler are three processes. What counts: the memory of the job stays flat however much
is sent, and every line comes out once and in order.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from benchmarks.report import Report
from streamproc import App, Asap, BatchInfo, Settings
from streamproc.codecs import bytes_decoder
from streamproc.connectors.callable import CallableSink
from streamproc.connectors.tcp import TcpServerSource

__all__ = ["main", "measure"]

LINES = 250_000
LINE_BYTES = 1_000
BUFFERED = 8 << 20
"""The most that waits in the job, in bytes."""
BATCH = 4_000
"""Records a batch, at most."""
DELAY = 0.25
"""Seconds that the sink takes for a batch: so it takes about 16 MB a second."""
WARM_UP = 0.3
"""The share of the run that is not looked at: caches and write buffers fill."""
PATIENCE = 60


def make_lines() -> Iterator[bytes]:
    """Yield the lines, each different, in chunks of a thousand."""
    filler = b"x" * (LINE_BYTES - 12)
    for start in range(0, LINES, 1_000):
        yield b"".join(b"%010d %s\n" % (number, filler) for number in range(start, start + 1_000))


def job(directory: str) -> None:
    """Run the job until its client has gone; print the port, and at the end what came out, as JSON."""
    digest = hashlib.sha256()
    count = 0

    async def slow(rows: list[bytes], _batch: BatchInfo) -> None:
        nonlocal count
        await asyncio.sleep(DELAY)
        for row in rows:
            digest.update(row + b"\n")
        count += len(rows)

    source = TcpServerSource(
        0,
        decode=bytes_decoder(),
        max_buffered_bytes=BUFFERED,
        until_clients_done=1,
        on_listening=lambda _host, port: print(port, flush=True),
    )
    settings = Settings(state_dir=directory, max_records=BATCH, log_format="console", log_level="WARNING")
    app = App("backpressure", trigger=Asap(), settings=settings)
    app.source(source).to(CallableSink(slow))
    app.run()
    print(json.dumps({"count": count, "sha256": digest.hexdigest()}), flush=True)


def send(port: str) -> None:
    """Send all lines as fast as the other side lets; print the seconds that it took."""
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        for chunk in make_lines():
            connection.sendall(chunk)
    print(time.perf_counter() - began)


def measure() -> Report:
    """Measure, and check that nothing is lost."""
    report = Report(
        "backpressure",
        f"{LINES * LINE_BYTES / 1e6:.0f} MB in lines of {LINE_BYTES:,} bytes from one client into a sink that waits "
        f"{DELAY} s a batch of {BATCH:,} lines;\n"
        f"at most {BUFFERED >> 20} MiB wait in the job; memory is its resident set, without the first {WARM_UP:.0%}",
    )
    expected = hashlib.sha256()
    for chunk in make_lines():
        expected.update(chunk)
    with tempfile.TemporaryDirectory(prefix="streamproc-bench-") as directory:
        began = time.perf_counter()
        running = _start("job", directory)
        try:
            assert running.stdout is not None
            client = _start("send", running.stdout.readline().strip())
            try:
                samples = _watch(running, Path(directory), until=began + PATIENCE)
                seconds = time.perf_counter() - began
                came_out = json.loads(running.stdout.readline())
                sending = float(client.communicate(timeout=PATIENCE)[0])
            finally:
                client.kill()
        finally:
            running.kill()
            running.wait()
    assert came_out == {"count": LINES, "sha256": expected.hexdigest()}, f"lines were lost or repeated: {came_out}"
    warm = samples[int(len(samples) * WARM_UP) :]
    memory = [memory for memory, _ in warm]
    half = len(memory) // 2
    report.add("lines that came out, each once and in order (SHA-256)", came_out["count"], "lines")
    report.add("sent", LINES * LINE_BYTES / 1e6 / sending, "MB/s", f"the client was held up for {sending:.0f} s")
    report.add("the whole run", seconds, "s")
    report.add("resident memory, least", min(memory), "MB", f"of {len(memory)} samples")
    report.add("resident memory, most", max(memory), "MB")
    report.add("second half less first half", mean(memory[half:]) - mean(memory[:half]), "MB", "means")
    report.add("state directory with the journal, most", max(disk for _, disk in warm), "MB")
    return report


def _start(part: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.backpressure", part, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _watch(process: subprocess.Popen[str], directory: Path, *, until: float) -> list[tuple[float, float]]:
    """Return resident memory and size on disk, in MB, ten times a second while a process runs."""
    samples: list[tuple[float, float]] = []
    while process.poll() is None:
        assert time.perf_counter() < until, f"the job had not ended after {PATIENCE} s"
        memory = _resident(process.pid)
        if memory:
            samples.append((memory, sum(map(_size, directory.rglob("*"))) / 1e6))
        time.sleep(0.1)
    return samples


def _resident(pid: int) -> float:
    """Return the resident set of a process in MB; zero when it has gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    except (OSError, IndexError):
        pass  # no Linux, or it has gone
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(shown or 0) * 1024 / 1e6


def _size(file: Path) -> int:
    """Return the size of a file; zero when it has gone."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def main() -> None:
    """Measure and print; or be one of the other processes."""
    match sys.argv[1:]:
        case ["job", directory]:
            job(directory)
        case ["send", port]:
            send(port)
        case _:
            print(measure())


if __name__ == "__main__":
    main()
