"""Kafka is fetched once, whole or not at all, and who can't run it is told what to install."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kafka.program import Program, UnavailableError, fetched


def maven(folder: Path, script: str) -> Path:
    """Put a command named mvn into a folder."""
    folder.mkdir()
    command = folder / "mvn"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return folder


def test_several_runs_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    bin_folder = maven(tmp_path / "bin", f"echo call >>{calls}; mkdir jars; touch jars/kafka.jar")
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(fetched, [tmp_path / "cache"] * 4))
    assert {tuple(folder.iterdir()) for folder in folders} == {(folders[0] / "kafka.jar",)}
    assert calls.read_text() == "call\n"


def test_what_was_fetched_in_part_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bin_folder = maven(tmp_path / "bin", "mkdir jars; touch jars/half.jar; echo no route to host; exit 1")
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    with pytest.raises(UnavailableError, match=r"could not fetch Kafka 4\.3\.1:\nno route to host"):
        fetched(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka-4.3.1-and-tools.lock"]


def test_a_machine_without_java_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match=r"Java 17 or newer.*openjdk-17-jre-headless.*STREAMPROC_TEST_KAFKA"):
        Program.find()


def test_a_java_that_is_too_old_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = maven(tmp_path / "bin", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""") / "mvn"
    java.rename(java.with_name("java"))
    monkeypatch.setenv("PATH", f"{java.parent}:/usr/bin:/bin")
    with pytest.raises(UnavailableError, match="Java 17 or newer"):
        Program.find()
