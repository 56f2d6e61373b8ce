"""What the dashboard shows, as text."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from examples.weblog.alerts import Alert
from examples.weblog.dashboard import Latest, Status, amount, render
from examples.weblog.windows import ClientReport, PageReport, Rate, WindowReport
from streamproc import WindowResult

STATUS = Status(
    seconds=17.2,
    lines=96_094,
    rejected=3,
    per_second=5_700.4,
    batches=34,
    batch_ms=89.2,
    batch_ms_99=240.1,
    waiting=1,
    state_bytes=39_000_000,
)
WINDOW = WindowReport(
    start=1_431_857_040_000,
    end=1_431_857_100_000,
    requests=60_000,
    requests_per_second=1_000.0,
    bytes_per_second=2_500_000.0,
    statuses={"1xx": 0, "2xx": 58_000, "3xx": 0, "4xx": 1_900, "5xx": 100},
    error_rate=0.0333,
    top_pages=[PageReport("/index.html", 20_000, 0.001), PageReport("/" + "long" * 20, 5, 0.0)],
    failing_pages=[PageReport("/search", 400, 0.25)],
    top_clients=[ClientReport("198.18.0.7", 1_234)],
)


def shown(latest: Latest) -> str:
    console = Console(record=True, width=120, file=StringIO())
    console.print(render("weblog: access.log", STATUS, latest))
    return console.export_text()


def test_how_the_engine_does_is_shown_before_there_are_results() -> None:
    text = shown(Latest())
    for part in ("weblog: access.log", "lines 96,094", "lines/s 5,700", "rejected 3", "running 17 s", "batches 34"):
        assert part in text
    for part in ("batch 89 ms (99 %: 240 ms)", "waiting 1", "state 39.0 MB", "waiting for the first window", "none"):
        assert part in text


def test_the_last_window_the_rates_and_the_newest_alerts_are_shown() -> None:
    latest = Latest()
    watch = latest.watch
    watch.rates([WindowResult(0, 2_000, Rate(100, 10)), WindowResult(2_000, 4_000, Rate(2_000, 6_000))])
    watch.windows([WINDOW])
    watch.alerts([Alert("scan", 0, 60_000, f"198.18.0.{number}", 30 + number) for number in range(10)])
    watch.alerts([Alert("spike", 58_000, 60_000, None, 9_000, usual=2_000.4)])
    text = shown(latest)
    for part in ("now 1,000 requests/s", "sent 3.0 kB/s", "▁█", "minute 1,000.0 requests/s", "sent 2.5 MB/s"):
        assert part in text
    for part in ("2xx 58,000 4xx 1,900 5xx 100 errors 3.3%", "the minute to 2015-05-17 10:05:00", "alerts: 11"):
        assert part in text
    for part in ("/index.html", "20,000", "0.1%", "/search", "25.0%", "198.18.0.7", "1,234", "longlong…"):
        assert part in text
    assert "9,000 requests in 2 s, usually 2,000: traffic spike" in text
    assert "198.18.0.9 asked for 39 missing pages in 60 s: scan?" in text
    assert "198.18.0.0 " not in text, "only the newest alerts have room"


def test_amounts_are_short() -> None:
    assert [amount(n) for n in (0, 999, 12_480, 3_200_000)] == ["0", "999", "12,480", "3.2 M"]
    assert [amount(n, "B") for n in (5, 1_500, 2_000_000, 3.1e9)] == ["5 B", "1.5 kB", "2.0 MB", "3.1 GB"]
