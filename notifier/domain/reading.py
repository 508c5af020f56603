"""UTF-8 that people hand over, in files and bodies: Windows puts a byte order mark before it, which is passed over."""

from codecs import BOM_UTF8
from pathlib import Path


def unmarked(data: bytes) -> bytes:
    """The beginning of a file or body without its byte order mark."""
    return data.removeprefix(BOM_UTF8)


def read_text(file: Path) -> str:
    """A file's text; what is raised is OSError, or UnicodeDecodeError where it isn't UTF-8."""
    return file.read_text("utf-8-sig")
