"""Wrong use fails while the pipeline is built."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamproc import (
    App,
    Asap,
    Interval,
    PipelineError,
    Retry,
    SettingsError,
    Sliding,
    Tumbling,
    UnknownAttributeError,
    count,
)
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
        (async_state, "update_state_by_key-1: fn is <function .*>: expected a plain function, no async def: await in"),
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


def numbers() -> Any:
    """Return a stream; any method can be called in any way."""
    return app().source(MemorySource[int]())


def keyed() -> Any:
    return numbers().key_by(str)


async def look_up(number: int) -> int:
    return number


WRONG_OPTIONS: list[tuple[Callable[[], object], str]] = [
    (lambda: numbers().event_time(int, out_of_order="1s"), "no option 'out_of_order': did you mean 'out_of_orderness'"),
    (lambda: numbers().reduce_by_window(max, "1s", invers=min), "no option 'invers': did you mean 'inverse'"),
    (lambda: keyed().update_state_by_key(max, init={}), "no option 'init': did you mean 'initial'"),
    (lambda: keyed().batch(3, withn="1s"), "batch has no option 'withn': did you mean 'within'"),
    (
        lambda: numbers().deduplicate(key=str, within="1s"),
        "deduplicate has no option 'key': it has by, within, name, on_error",
    ),
    (lambda: numbers().map(str, name=5), "the operator name 5: expected text of letters, digits, '_', '.' and '-'"),
    (
        lambda: keyed().update_state_by_key(max, initial=[1]),
        r"initial is \[1\]: expected a dict of states by their keys",
    ),
    (lambda: keyed().update_state_by_key(max, every_batch="no"), "every_batch is 'no': expected True or False"),
    (lambda: numbers().split([str]), r"split: expected a dict of predicates by the names of outputs, got \[<class"),
    (
        lambda: numbers().map(look_up, concurrency="5"),
        "map-1: concurrency is '5': expected a whole number of at least 1",
    ),
    (lambda: numbers().map(look_up, ordered="no"), "map-1: ordered is 'no': expected True or False"),
    (lambda: numbers().map(look_up, retry=3), r"map-1: retry is 3: expected Retry\(…\)"),
    (lambda: Retry(0), "Retry: attempts is 0: expected a whole number of at least 1"),
    (lambda: numbers().union([numbers()]), r"union of <Stream .*> and \[<Stream .*>\]: the other is no stream"),
    (lambda: keyed().join(5), "join of <KeyedStream .*> and 5: the other is no stream"),
]


@pytest.mark.parametrize(("build", "message"), WRONG_OPTIONS)
def test_wrong_options_are_refused_and_told_what_is_expected(build: Callable[[], object], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        build()


WRONG_METHODS: list[tuple[Callable[[], object], str]] = [
    (lambda: numbers().map_values(str), r"map_values\(\) works by key, but <Stream source-1> has no keys"),
    (lambda: numbers().flatmap(list), r"<Stream source-1> has no operator 'flatmap': did you mean flat_map\(\)\?"),
    (
        lambda: keyed().map_value(str),
        r"<KeyedStream key_by-1> has no operator 'map_value': did you mean map_values\(\)",
    ),
    (lambda: numbers().explode(), "<Stream source-1> has no operator 'explode'$"),
    (
        lambda: keyed().rate_limit(1, per="1s").map_values(str).excess(),
        r"<KeyedStream map_values-1> has no excess\(\): call it on what rate_limit\(\) has returned",
    ),
    (lambda: numbers().output(5), r"<Stream source-1> has no output\(\): call it on what process\(\) has returned"),
]


@pytest.mark.parametrize(("build", "message"), WRONG_METHODS)
def test_what_a_stream_does_not_have_is_an_error_that_says_where_it_is(
    build: Callable[[], object], message: str
) -> None:
    with pytest.raises(UnknownAttributeError, match=message):
        build()


def test_a_stream_can_be_asked_what_operators_it_has() -> None:
    assert not hasattr(numbers(), "map_values")
    assert hasattr(keyed(), "map_values")


@pytest.mark.parametrize("name", [5, None])
def test_the_name_of_an_app_is_text(name: Any) -> None:
    with pytest.raises(PipelineError, match=f"the app's name {name}: expected text of letters"):
        App(name)
