"""CloudEvents' attributes in HTTP headers (HTTP binding 1.0 §3.1.3): one that can't be told for sure is a problem."""

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from notifier.domain.problems import problem

PREFIX = b"ce-"
DATA = b"ce-data"  # ignored: in binary mode the body is the data

_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def attributes(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The attributes by name; raises Problem 40002 for one that came twice, or that can't be told for sure."""
    found: dict[str, str] = {}
    for header, value in headers:
        if not header.startswith(PREFIX) or header == DATA:
            continue
        name = header[len(PREFIX) :].decode("latin-1")
        if name == "data_base64":
            raise problem(40002, "in binary mode the body is the data; leave this header out", f"/{name}")
        if name in found:
            raise problem(40002, "this attribute is in two headers; send one", f"/{name}")
        found[name] = _text(name, value.strip())
    return found


def _text(name: str, value: bytes) -> str:
    """The text of a value: unquoted (RFC 9110 §5.6.4), then percent-decoded once. Bare UTF-8 is what it looks like."""
    if value.startswith(b'"'):
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            raise problem(40002, "the header's value begins with a quote but does not end with one", f"/{name}")
        value = _ESCAPED.sub(rb"\1", quoted[1])
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise problem(40002, "the header's value is not percent-encoded UTF-8", f"/{name}") from None
