"""`Traffic`: seeded traffic of a web site, as the lines that its server would log.

Pages and visitors are popular as in Zipf's law, the load swings with the time of day, images come with pages, some
links are dead, some pages fail. With attacks, there are also

* a slow brute force: an address tries passwords, a few a second, for a quarter of a minute;
* a scan: an address asks for files that it hopes to find, about ten a second;
* a spike: a page is linked from a busy site, and the load is four times as high for some seconds.

The same seed always gives the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, count
from math import pi, sin
from random import Random

__all__ = ["Traffic"]

_STEP_MS = 100
_CYCLE_MS = 60_000
"""Each kind of attack comes once a cycle, first at these times and for so long."""
_BRUTE_FORCE = (3_000, 15_000)
_SCAN = (8_000, 10_000)
_SPIKE = (14_000, 6_000)
_SPIKE_FACTOR = 4

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    r"Mozilla/5.0 (Linux; Android 14; \"Pixel 8\") AppleWebKit/537.36",
    "Tiny Tiny RSS/24.06 (http://tt-rss.example/)",
    "curl/8.8.0",
)
_AGENT_SHARES = (38, 24, 9, 14, 8, 3, 3, 1)

_REFERRERS = ("-", "https://www.google.com/", "https://example.com/", "https://news.example.org/item?id=4711")
_REFERRER_SHARES = (45, 20, 28, 7)

_WORDS = ("streams", "windows", "state", "kafka", "python", "rocksdb", "latency", "joins", "time", "recovery")
_SCANNED = (
    "/.env", "/.git/config", "/wp-login.php", "/phpmyadmin/index.php", "/admin/config.php", "/backup.zip",
    "/server-status", "/.aws/credentials", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/cgi-bin/test.cgi",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Page:
    """A page or file of the site: its path, how large it is, and which answers it gives how often."""

    path: str
    size: int
    statuses: tuple[int, ...]
    shares: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """The definition of some traffic.

    Args:
        seed: Chooses the pages, the visitors and everything they do.
        rate: How many requests a second, in the mean of a day and without attacks.
        start: When the first request comes, in epoch milliseconds.
        day: How many milliseconds a day lasts: a short one shows in minutes how the load swings.
        attacks: Whether there are attacks and spikes.
        visitors: How many addresses there are; two for each request a second by default, so that none is so busy that
            its few dead links look like a scan.

    Example:
        >>> from itertools import islice
        >>> len(list(islice(Traffic(seed=7, rate=100, start=0).lines(), 1000)))
        1000
    """

    seed: int
    rate: float
    start: int
    day: int = 120_000
    attacks: bool = True
    visitors: int | None = None

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the requests without end: how many milliseconds after the start each comes, and its line."""
        # Not for security: what counts is that the same seed gives the same lines.
        random = Random(self.seed)
        site = _Site(random, max(50, round(2 * self.rate)) if self.visitors is None else self.visitors)
        brute = scanner = ""
        clock_text = _ClockText(self.start)
        for step in count():
            begin = step * _STEP_MS
            within = begin % _CYCLE_MS
            if not within:
                brute, scanner = _addresses(random, 2)
            load = self.rate * (1 + 0.3 * sin(2 * pi * begin / self.day))
            spike = self.attacks and _during(within, _SPIKE)
            found = site.requests(random, _whole(random, load * _STEP_MS / 1000))
            if spike:
                found += site.linked(random, _whole(random, load * (_SPIKE_FACTOR - 1) * _STEP_MS / 1000))
            if self.attacks and _during(within, _BRUTE_FORCE):
                found += [_password(random, brute) for _ in range(_whole(random, 0.35))]
            if self.attacks and _during(within, _SCAN):
                found += [_probe(random, scanner) for _ in range(_whole(random, 1.0))]
            random.shuffle(found)
            for number, (client, rest) in enumerate(found):
                offset = begin + number * _STEP_MS // len(found)
                yield offset, f"{client} - - [{clock_text.at(offset)}] {rest}"


class _Site:
    """The pages of a site and those who visit it."""

    def __init__(self, random: Random, visitors: int) -> None:
        self._pages = _pages(random)
        self._page_shares = _zipf(len(self._pages))
        agents = random.choices(_AGENTS, _AGENT_SHARES, k=visitors)
        self._visitors = list(zip(_addresses(random, visitors), agents, strict=True))
        self._visitor_shares = _zipf(visitors, 0.5)

    def requests(self, random: Random, number: int) -> list[tuple[str, str]]:
        """Return so many requests: the client, and what follows the time in the line."""
        visitors = random.choices(self._visitors, cum_weights=self._visitor_shares, k=number)
        pages = random.choices(self._pages, cum_weights=self._page_shares, k=number)
        referrers = random.choices(_REFERRERS, _REFERRER_SHARES, k=number)
        return [
            (client, _answer(random, page, referrer, agent))
            for (client, agent), page, referrer in zip(visitors, pages, referrers, strict=True)
        ]

    def linked(self, random: Random, number: int) -> list[tuple[str, str]]:
        """Return so many requests of visitors who follow one link from another site."""
        page = self._pages[7]
        visitors = random.choices(self._visitors, k=number)
        return [
            (client, _answer(random, page, "https://news.example.org/item?id=4711", agent))
            for client, agent in visitors
        ]


def _pages(random: Random) -> list[_Page]:
    """Return the pages of a site, the most popular first."""
    usual = (200, 304), (90, 10)
    pages = [
        _Page("/", 12_480, *usual),
        _Page("/style.css", 4_877, (200, 304), (55, 45)),
        _Page("/favicon.ico", 3_638, (200, 304), (60, 40)),
        _Page("/images/logo.png", 18_220, (200, 304, 206), (70, 29, 1)),
        _Page("/blog", 312, (301,), (1,)),
        _Page("/search?q=" + random.choice(_WORDS), 9_102, (200, 500, 503), (96, 3, 1)),
        _Page("/robots.txt", 112, (200,), (1,)),
    ]
    for number in range(120):
        name = "-".join(random.sample(_WORDS, 2))
        kind = random.choice(("/blog/{}/{}", "/docs/{}-{}.html", "/articles/{}?ref={}"))
        pages.append(_Page(kind.format(name, number), random.randint(2_000, 60_000), *usual))
    pages.append(_Page("/downloads/handbook.pdf", 4_211_090, (200, 206, 416), (70, 29, 1)))
    pages += [_Page(f"/old/{random.choice(_WORDS)}-{number}.html", 345, (404,), (1,)) for number in range(3)]
    return pages


def _answer(random: Random, page: _Page, referrer: str, agent: str) -> str:
    status = page.statuses[0]
    if len(page.statuses) > 1:
        (status,) = random.choices(page.statuses, page.shares)
    method, size = "GET", str(page.size)
    if status == 304:
        size = "-"
    elif status == 200 and random.random() < 0.01:
        method, size = "HEAD", "-"
    return f'"{method} {page.path} HTTP/1.1" {status} {size} "{referrer}" "{agent}"'


def _password(random: Random, client: str) -> tuple[str, str]:
    status = random.choice((401, 401, 401, 403))
    return client, f'"POST /login HTTP/1.1" {status} 512 "https://example.com/login" "python-requests/2.32"'


def _probe(random: Random, client: str) -> tuple[str, str]:
    if random.random() < 0.05:
        # It tries other protocols too: this one is the begin of a TLS handshake.
        return client, r'"\x16\x03\x01\x02" 400 226 "-" "-"'
    return client, f'"GET {random.choice(_SCANNED)} HTTP/1.1" 404 196 "-" "Mozilla/5.0 zgrab/0.x"'


def _addresses(random: Random, number: int) -> list[str]:
    """Return different addresses."""
    # From the network set aside for benchmarks, 198.18.0.0/15: no addresses of real machines.
    return [f"198.{18 + (n >> 16)}.{n >> 8 & 255}.{n & 255}" for n in random.sample(range(1 << 17), number)]


def _zipf(number: int, exponent: float = 1.0) -> list[float]:
    """Return cumulative weights: the n-th most popular of some things has the share ``1 / n ** exponent``."""
    return list(accumulate(1 / rank**exponent for rank in range(1, number + 1)))


def _whole(random: Random, expected: float) -> int:
    """Return a number of requests that is ``expected`` on average and varies like independent ones do."""
    if expected > 20:
        return max(0, round(random.gauss(expected, expected**0.5)))
    # Knuth's algorithm for a Poisson distribution.
    limit, product, number = 2.718281828459045**-expected, random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number


def _during(time: int, episode: tuple[int, int]) -> bool:
    begin, length = episode
    return begin <= time < begin + length


class _ClockText:
    """Times as logs write them."""

    def __init__(self, start: int) -> None:
        self._start = start
        self._second = -1
        self._text = ""

    def at(self, offset: int) -> str:
        """Return the time so many milliseconds after the start."""
        second = (self._start + offset) // 1000
        if second != self._second:
            time = datetime.fromtimestamp(second, UTC)
            # Not strftime: its names of months follow the machine's language.
            month = _MONTHS[time.month - 1]
            self._second, self._text = second, f"{time.day:02d}/{month}/{time.year}:{time:%H:%M:%S} +0000"
        return self._text
