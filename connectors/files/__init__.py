"""Files: sources that read, watch and follow them; sinks that write them exactly-once."""

from .csv import Csv
from .directory_source import DirectorySource
from .file_sink import FileSink, Roll
from .file_source import FileSource
from .format import Format, Rows
from .ndjson import Ndjson
from .text import Text
from .text_files import TextFilesSink

__all__ = [
    "Csv",
    "DirectorySource",
    "FileSink",
    "FileSource",
    "Format",
    "Ndjson",
    "Roll",
    "Rows",
    "Text",
    "TextFilesSink",
]
