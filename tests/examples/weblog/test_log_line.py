"""What is read from a line of a log, and what is none."""

from __future__ import annotations

import pytest

from examples.weblog.log_line import LogLine, LogLineError, parse

HEAD = "10.0.0.7 - - [17/May/2015:10:05:03 +0000]"
AT = 1_431_857_103_000


def test_a_combined_line() -> None:
    line = f'{HEAD} "GET /a?b=1 HTTP/1.1" 200 2326 "http://example.com/start" "Mozilla/5.0 (X11)"'
    expected = LogLine("10.0.0.7", AT, "GET", "/a?b=1", 200, 2326, "http://example.com/start", "Mozilla/5.0 (X11)")
    assert parse(line) == expected


def test_a_common_line_has_neither_referrer_nor_agent() -> None:
    assert parse(f'{HEAD} "HEAD / HTTP/1.0" 304 -') == LogLine("10.0.0.7", AT, "HEAD", "/", 304, 0, "-", "-")


def test_escaped_quotes_and_backslashes_are_those_that_the_client_sent() -> None:
    found = parse(rf'{HEAD} "GET /say\"hi\" HTTP/1.1" 200 1 "-" "a \"quoted\" C:\\agent"')
    assert found.path == '/say"hi"'
    assert found.agent == r'a "quoted" C:\agent'


@pytest.mark.parametrize(
    ("request_line", "method", "path"),
    [
        (r"\x16\x03\x01", "", r"\x16\x03\x01"),
        ("-", "", "-"),
        ("", "", ""),
        ("GET /with space HTTP/1.1", "GET", "/with space"),
        ("SSH-2.0-Go", "", "SSH-2.0-Go"),
        ("GET /", "", "GET /"),
    ],
)
def test_requests_that_are_odd_or_not_http(request_line: str, method: str, path: str) -> None:
    found = parse(f'{HEAD} "{request_line}" 400 226 "-" "-"')
    assert (found.method, found.path, found.status, found.size) == (method, path, 400, 226)


def test_times_are_in_the_zone_that_the_line_says() -> None:
    east = parse('a - - [17/May/2015:12:05:03 +0200] "-" 408 0')
    west = parse('a - - [17/May/2015:06:35:03 -0330] "-" 408 0')
    assert east.time == west.time == AT


def test_a_line_that_was_cut_off_behind_the_size_counts() -> None:
    found = parse(f'{HEAD} "GET / HTTP/1.1" 200 235 "-" "Mozilla/5.0 (compatible; Googlebot')
    assert (found.status, found.size, found.agent) == (200, 235, "Mozilla/5.0 (compatible; Googlebot")


def test_fields_behind_the_agent_are_passed_over() -> None:
    assert parse(f'joe - joe smith {HEAD[13:]} "GET / HTTP/2" 200 5 "-" "curl" 0.003 "x"').agent == "curl"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        HEAD,
        f'{HEAD} "GET / HTTP/1.1"',
        f'{HEAD} "GET / HTTP/1.1" 20',
        f'{HEAD} "GET / HTTP/1.1" 200 12kB',
        'a - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
        'a - - [31/Feb/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1',
        'a - - [17/May/2015:10:05:77 +0000] "GET / HTTP/1.1" 200 1',
        f'{HEAD} "GET /never closed HTTP/1.1 200 1',
    ],
)
def test_what_is_no_log_line(line: str) -> None:
    with pytest.raises(LogLineError):
        parse(line)
