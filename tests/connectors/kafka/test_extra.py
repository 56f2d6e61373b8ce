"""Without the packages of its extra, the connector says at its import what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Without(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Without())
import streamproc
try:
    import streamproc.connectors.kafka
except ImportError as error:
    assert isinstance(error, streamproc.StreamprocError)
    print(type(error).__name__, error, sep=": ")
"""


@pytest.mark.parametrize("package", ["aiokafka", "cramjam", "google_crc32c"])
def test_what_is_missing_is_told_with_the_extra(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, package], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "MissingExtraError: streamproc.connectors.kafka needs a package that is not installed: "
        "pip install 'streamproc[kafka]'\n"
    )
