"""Posts through the job: the topics of each window are those that the standard library counts."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from examples.trending_topics.pipeline import Post, Trends, build
from examples.trending_topics.posts import START, made_up_posts
from streamproc import App, BatchInfo, Interval
from streamproc.connectors.memory import MemorySource
from streamproc.testing import Driver
from tests.examples.running import line_with, output_of, rows, run, started

MINUTE = 60_000


def trends(posts: Iterable[Post], k: int) -> list[dict[str, Any]]:
    """Return the rows that posts come to."""
    windows: dict[int, Counter[str]] = {}
    for post in posts:
        last = post.at // MINUTE * MINUTE
        for start in range(last - 9 * MINUTE, last + MINUTE, MINUTE):
            tags = {word.strip(".,!?")[1:].lower() for word in post.text.split() if word.startswith("#")}
            windows.setdefault(start, Counter()).update(tags)
    found: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    for start, counted in sorted(windows.items()):
        largest = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:k]
        topics = [{"tag": tag, "posts": posts, "before": places.get(tag)} for tag, posts in largest]
        found.append({"start": start, "end": start + 10 * MINUTE, "topics": topics})
        places = {tag: place for place, (tag, _) in enumerate(largest, 1)}
    return found


def post(seconds: float, text: str) -> Post:
    return Post(START + int(seconds * 1000), "ann", text)


def show(_trends: list[Trends], _batch: BatchInfo) -> None:
    pass


async def test_the_topics_of_each_window_are_those_that_are_counted_otherwise(tmp_path: Path) -> None:
    printed = await run("trending_topics", "--seed", 7, "--out", tmp_path)

    expected = trends(made_up_posts(120, seed=7), k=4)
    assert rows(tmp_path / "trends") == expected
    assert len(printed) == len(expected) + 1
    assert printed[60].startswith("18:51 to 19:01  #football")


async def test_what_trends_changes_with_time() -> None:
    first = {found["topics"][0]["tag"]: found["start"] for found in trends(made_up_posts(120), k=4)}
    assert list(first) == ["weather", "python", "football", "election", "music"]


async def test_files_are_waited_for_through_a_kill(tmp_path: Path) -> None:
    posts, directory, out = list(made_up_posts(40)), tmp_path / "posts", tmp_path / "out"
    directory.mkdir()
    end = len(posts) // 2
    add_file(directory, "a", posts[:end])
    async with started("trending_topics", directory, "--watch", "-k", 3, "--out", out) as process:
        await line_with(process.stdout, "18:05 to 18:15")
        process.kill()
        await process.wait()

    add_file(directory, "b", posts[end:])
    async with started("trending_topics", directory, "--watch", "-k", 3, "--out", out) as process:
        await line_with(process.stdout, "18:28 to 18:38")
        process.send_signal(signal.SIGINT)
        await output_of(process)

    expected = [row for row in trends(posts, k=3) if row["end"] <= max(post.at for post in posts) - 30_000]
    assert rows(out / "trends") == expected


def add_file(directory: Path, name: str, posts: list[Post]) -> None:
    hidden = directory / f".{name}"
    hidden.write_bytes(msgspec.json.Encoder().encode_lines(posts))
    hidden.rename(directory / f"{name}.ndjson")


async def test_a_tag_counts_once_a_post_in_any_case_and_equal_ones_are_in_the_order_of_their_names(
    tmp_path: Path,
) -> None:
    source = MemorySource([[post(0, "#Rust #rust #RUST"), post(1, "#python!"), post(2, "none"), post(61, "#rust")]])
    source.close()
    app = App("trends", trigger=Interval("500ms"))
    build(app.source(source), tmp_path, show, k=4)
    async with Driver(app) as driver:
        await driver.tick()

    first, second, *_, last = rows(tmp_path)
    assert first["topics"] == [
        {"tag": "python", "posts": 1, "before": None},
        {"tag": "rust", "posts": 1, "before": None},
    ]
    assert second["topics"] == [{"tag": "rust", "posts": 2, "before": 2}, {"tag": "python", "posts": 1, "before": 1}]
    assert last["topics"] == [{"tag": "rust", "posts": 1, "before": 1}]


@pytest.mark.parametrize("step", ["after_take", "before_commit", "after_commit", "after_publish"])
async def test_trends_after_a_crash(step: str, tmp_path: Path) -> None:
    posts = list(made_up_posts(60))
    source = MemorySource([posts[start : start + 100] for start in range(0, len(posts), 100)])
    source.close()
    app = App("trends", trigger=Interval("500ms"))
    build(app.source(source), tmp_path, show, k=4)
    driver = Driver(app)
    driver.crash_at(step, 12)
    await driver.start()
    await driver.tick(40)
    assert driver.crashed
    await driver.restart()
    await driver.tick(40)
    assert not driver.running

    assert rows(tmp_path) == trends(posts, k=4)
