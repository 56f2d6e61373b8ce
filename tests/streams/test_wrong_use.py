"""Wrong use fails while the pipeline is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamproc import App, Asap, Interval, PipelineError, SettingsError, Sliding, Tumbling, count
from streamproc.connectors.memory import MemorySink, MemorySource


def app() -> App:
    return App("wrong", trigger=Interval("500ms"))


def window_length(app: App) -> None:
    app.source(MemorySource[int]()).count_by_window("1300ms", "500ms")


def window_slide(app: App) -> None:
    app.source(MemorySource[int]()).key_by(lambda n: n).reduce_by_key_and_window(max, "1s", "250ms")


def gap_between_windows(app: App) -> None:
    Sliding("1s", every="2s")


def keyed_operator_without_keys(app: App) -> None:
    app.source(MemorySource[int]()).reduce_by_key(max)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def keyed_state_without_keys(app: App) -> None:
    app.source(MemorySource[int]()).update_state_by_key(lambda new, old: 1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def one_name_twice(app: App) -> None:
    app.source(MemorySource[int](), name="numbers").map(lambda n: n, name="numbers")


def bad_name(app: App) -> None:
    app.source(MemorySource[int](), name="my numbers")


def one_sink_twice(app: App) -> None:
    stream, sink = app.source(MemorySource[int]()), MemorySink[int]()
    stream.to(sink)
    stream.map(lambda n: n).to(sink)


def no_sink(app: App) -> None:
    app.source(MemorySource[int]()).map(lambda n: n)
    app.plan()


def streams_of_two_apps(app: App) -> None:
    app.source(MemorySource[int]()).union(App("other").source(MemorySource[int]()))


def join_with_a_stream_without_keys(app: App) -> None:
    stream = app.source(MemorySource[int]())
    stream.key_by(lambda n: n).join(stream)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def keep_without_inverse(app: App) -> None:
    keyed = app.source(MemorySource[int]()).key_by(lambda n: n)
    keyed.reduce_by_key_and_window(max, "1s", keep=lambda key, value: True)


def no_function(app: App) -> None:
    app.source(MemorySource[int]()).map(7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def policy(app: App) -> None:
    unknown: Any = "ignore"
    app.source(MemorySource[int]()).map(lambda n: n, on_error=unknown)


def async_state(app: App) -> None:
    async def update(new: list[int], old: int | None) -> int:
        return 1

    unfit: Any = update
    app.source(MemorySource[int]()).key_by(lambda n: n).update_state_by_key(unfit)


def misspelt_option(app: App) -> None:
    options: Any = {"on_eror": "skip"}
    app.source(MemorySource[int]()).map(str, **options)


def no_trigger(app: App) -> None:
    text: Any = "500ms"
    App("wrong", trigger=text)


def no_sink_object(app: App) -> None:
    directory: Any = "out"
    app.source(MemorySource[int]()).to(directory)


def no_source_object(app: App) -> None:
    path: Any = "clicks.ndjson"
    app.source(path)


def no_aggregate(app: App) -> None:
    function: Any = count
    app.source(MemorySource[int]()).window(Tumbling("1s")).aggregate(function)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (misspelt_option, "map has no option 'on_eror': did you mean 'on_error'"),
        (no_trigger, "trigger is '500ms': expected Interval"),
        (no_sink_object, "expected a sink such as FileSink"),
        (no_source_object, "expected a source such as FileSource"),
        (no_aggregate, r"expected an aggregate such as count\(\)"),
        (window_length, "the window's length is 1s300ms, which is no multiple of the batch interval of 500ms"),
        (window_slide, "the window's slide is 250ms, which is no multiple of the batch interval of 500ms"),
        (gap_between_windows, "windows of 1s every 2s leave gaps"),
        (keyed_operator_without_keys, r"reduce_by_key\(\) works by key, but <Stream source-1> has no keys"),
        (keyed_state_without_keys, r"call key_by\(fn\) before it"),
        (one_name_twice, r"two operators are named 'numbers' \(a source and a map\)"),
        (bad_name, "the operator name 'my numbers'"),
        (one_sink_twice, "two outputs write to one sink"),
        (no_sink, "the pipeline has no output"),
        (streams_of_two_apps, "the streams belong to different apps"),
        (join_with_a_stream_without_keys, "one is keyed and the other is not"),
        (keep_without_inverse, "keep= needs inverse="),
        (no_function, "map-1: expected a function, got 7"),
        (policy, "on_error is 'ignore'"),
        (async_state, "state is only safe in a plain one"),
    ],
)
def test_wrong_use_is_refused(build: Callable[[App], None], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build(app())


def test_the_interval_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_TRIGGER", "2s")
    with pytest.raises(PipelineError, match="no multiple of the batch interval of 2s"):
        app().source(MemorySource[int]()).count_by_window("1s", "500ms")


def test_an_unknown_setting_is_refused_with_a_suggestion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_TRIGER", "2s")
    with pytest.raises(SettingsError, match="unknown setting 'triger' in the environment: did you mean 'trigger'"):
        App("wrong", trigger=Asap())


@pytest.mark.parametrize("name", ["", "my app", "../up", ".hidden"])
def test_an_app_needs_a_name_that_can_be_a_directory(name: str) -> None:
    with pytest.raises(PipelineError, match="the app's name"):
        App(name)
