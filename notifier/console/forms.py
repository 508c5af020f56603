"""Input from browsers: posted forms (`application/x-www-form-urlencoded`, WHATWG URL §5) within limits, and query
parameters.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from notifier.domain.ids import FORM
from notifier.domain.text import is_text
from notifier.store.core.paging import PageKey

MAX_FORM = 256 * 1024  # bytes: a page of ids, or a text for a template, with a margin
MAX_FIELDS = 1000
FORM_TIMEOUT = 15.0  # seconds for the whole form

_PLACE = re.compile(f"([0-9]{{1,16}})-({FORM})")
_Filter = TypeVar("_Filter", bound=msgspec.Struct)


async def read_form(request: Request) -> FormData:
    """Return the fields of a posted form; raises HTTPException where it isn't a form, or is too large, too slow or cut
    off."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "") or coding != "identity":
        raise HTTPException(415)
    parts, size = [], 0
    try:
        async with asyncio.timeout(FORM_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size > MAX_FORM:
                    raise HTTPException(413)
                parts.append(part)
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408) from None
    try:
        fields = parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise HTTPException(400) from None
    if not all(is_text(part) for field in fields for part in field):
        raise HTTPException(400)
    return FormData([(name, value.replace("\r\n", "\n")) for name, value in fields])


def text(form: FormData, name: str) -> str:
    """Return a field's text, empty where the field is missing."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def read_filter(parameters: Mapping[str, Any], shape: type[_Filter]) -> _Filter:
    """Read a filter from the query parameters named as its fields; raises HTTPException for an invalid value."""
    given = {name: parameters.get(name) or None for name in shape.__struct_fields__}
    try:
        return msgspec.convert(given, shape)
    except msgspec.ValidationError:
        raise HTTPException(400) from None


def read_place(request: Request) -> PageKey | None:
    """Read where a page begins from `after`; raises HTTPException for a cursor that isn't ours."""
    after = request.query_params.get("after")
    if after is None:
        return None
    match = _PLACE.fullmatch(after)
    if match is None:
        raise HTTPException(400)
    return PageKey(int(match[1]), match[2])
