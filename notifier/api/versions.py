"""Versions of documents: a GET returns the version (`ETag`), and a write with `If-Match` replaces only that version."""

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.http import answer
from notifier.domain.problems import problem

_LENGTH = 32  # hex digits: as many as an id has


CONDITIONAL = ("if-match", "if-none-match")
"""The headers of a request that name versions."""


def etag(document: Any) -> str:
    """Return the version of a document: a hash of its content."""
    told = msgspec.json.encode(document, order="deterministic")
    return f'"{sha256(told).hexdigest()[:_LENGTH]}"'


def versioned(document: Any, headers: Mapping[str, str] | None = None, *, shown: Any = None) -> Response:
    """Return a document as a response with its version; `shown` is the body where it isn't the whole document."""
    told = document if shown is None else shown
    return answer(told, headers={"ETag": etag(document), **(headers or {})})


def expected(request: Request, shape: Callable[[Any], Any] = lambda held: held) -> Callable[[Any], None]:
    """Return a check of the stored document (None where there is none) against the request's `If-Match` and
    `If-None-Match`, which raises Problem 41201; `shape` turns the stored document into the body of a GET.
    """
    wanted, unwanted = (_tags(request, header) for header in CONDITIONAL)

    def check(held: Any) -> None:
        if not wanted and not unwanted:
            return
        found = set() if held is None else {"*", etag(shape(held))}
        if wanted and not wanted & found:
            raise problem(41201, "the stored version differs from the one in If-Match; read the document again")
        if unwanted & found:
            raise problem(41201, "the document already exists, and If-None-Match requires that it doesn't")

    return check


def _tags(request: Request, header: str) -> set[str]:
    """Return the versions that a header names; a weak one (W/) is never ours and matches nothing."""
    return {tag for value in request.headers.getlist(header) for tag in map(str.strip, value.split(",")) if tag}
