"""`Text`: one line is one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamproc.batch import Batch
from streamproc.codecs import Decoder, text_decoder
from streamproc.errors import PipelineError

from .format import Format, Rows, is_ascii_compatible, pairs

__all__ = ["Text"]


@dataclass(frozen=True, slots=True)
class Text(Format[str]):
    r"""Lines of text, without their line breaks (``\n`` or ``\r\n``).

    Written, a value is a line with `str` of it, and a row with a key is ``key<TAB>value``. A value that holds line
    breaks is written as it is and is read back as several records: use `Ndjson` for such values.

    Args:
        encoding: Any encoding in which a line feed is the byte 10 and nothing else is: not UTF-16 or UTF-32.
        errors: What to do with bytes that are no text, as in `bytes.decode`.

    Raises:
        PipelineError: The encoding is unknown or can't be cut into lines.
    """

    suffix = "txt"

    encoding: str = "utf-8"
    errors: str = "strict"

    def __post_init__(self) -> None:
        if not is_ascii_compatible(self.encoding):
            raise PipelineError(
                f"Text(encoding={self.encoding!r}): expected an encoding that Python knows and in which a line feed "
                'is one byte, such as "utf-8" or "latin-1"'
            )

    @property
    def decoder(self) -> Decoder[str]:
        """How to turn the bytes of a line into a string."""
        return text_decoder(self.encoding, self.errors)

    def encode(self, batch: Batch) -> Rows:
        """Return the rows of a batch as lines."""
        keyed = batch.keys is not None
        lines = [f"{key!s}\t{value!s}" for key, value in pairs(batch)] if keyed else _lines(batch.values)
        lines.append("")
        return Rows(b"", "\n".join(lines).encode(self.encoding, self.errors))


def _lines(values: list[Any]) -> list[str]:
    return [value if isinstance(value, str) else str(value) for value in values]
