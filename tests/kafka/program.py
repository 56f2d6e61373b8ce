"""`Program`: Kafka as Java runs it; its jars come from Maven once and stay in the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Program", "UnavailableError"]

VERSION = "4.3.1"
_FOLDER = f"kafka-{VERSION}-and-tools"
_OLDEST_JAVA = 17
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_DOWNLOAD_SECONDS = 600

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>streamproc.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>{VERSION}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>2.25.4</version>
    </dependency>
  </dependencies>
</project>
"""

_JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",  # It would leave files in /tmp.
    "-Dlog4j2.level=INFO",
)


class UnavailableError(Exception):
    """This machine can't run Kafka; says what to install."""


@dataclass(frozen=True)
class Program:
    """Kafka's classes, and the Java that runs them.

    Attributes:
        java: The executable.
        jars: The folder with the jars.
    """

    java: str
    jars: Path

    @classmethod
    def find(cls) -> Program:
        """Return Kafka, after fetching it when this user has never had it.

        Raises:
            UnavailableError: Java or Maven is missing, or Maven could not fetch Kafka.
        """
        java = shutil.which("java")
        if java is None or _java_version(java) < _OLDEST_JAVA:
            raise UnavailableError(_missing(f"Java {_OLDEST_JAVA} or newer"))
        return cls(java, fetched(cache()))

    def command(self, main: str, *arguments: str | Path, scratch: Path) -> list[str]:
        """Return the command that runs one of Kafka's classes.

        Args:
            main: The class.
            arguments: Its arguments.
            scratch: A folder for the native libraries that it unpacks.
        """
        options = [*_JVM, f"-Djava.io.tmpdir={scratch}", "-cp", f"{self.jars}/*"]
        return [self.java, *options, main, *map(str, arguments)]


def cache() -> Path:
    """Return the folder that holds the jars, of all versions, between runs."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "streamproc-tests"


def fetched(cache: Path) -> Path:
    """Return the folder with Kafka's jars; of several processes one fetches, the others wait for it.

    Raises:
        UnavailableError: Maven is missing or failed.
    """
    jars = cache / _FOLDER
    if not jars.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / f"{_FOLDER}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not jars.exists():
                _fetch(jars)
    return jars


def _fetch(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise UnavailableError(_missing(f"Maven, which fetches Kafka {VERSION} once"))
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetching-") as aside:
        Path(aside, "pom.xml").write_text(_POM)
        # A killed run leaves its folder aside: what has the final name is complete.
        command = [maven, "-q", "-B", _PLUGIN, "-DincludeScope=runtime", "-DoutputDirectory=jars"]
        try:
            done = subprocess.run(
                command,
                cwd=aside,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_DOWNLOAD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"Maven has not fetched Kafka {VERSION} in {_DOWNLOAD_SECONDS} s") from error
        if done.returncode != 0:
            raise UnavailableError(f"Maven could not fetch Kafka {VERSION}:\n{done.stdout[-2000:]}")
        Path(aside, "jars").rename(jars)


def _java_version(java: str) -> int:
    """Return the major version of a Java; 0 if it doesn't tell."""
    told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else 0


def _missing(what: str) -> str:
    return (
        f"This test needs a real Kafka, and to run one {what}. Install it (Debian: apt-get install"
        " openjdk-17-jre-headless maven), or name a Kafka that runs: STREAMPROC_TEST_KAFKA=127.0.0.1:9092 (tests that"
        ' stop brokers need their own all the same). Only -m "not kafka" leaves these tests out.'
    )
