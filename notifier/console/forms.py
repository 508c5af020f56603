"""Forms as browsers post them: `application/x-www-form-urlencoded` (WHATWG URL §5), within limits."""

import asyncio
from urllib.parse import parse_qsl

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

MAX_FORM = 256 * 1024  # bytes: a page of ids, or a text for a template, with room
MAX_FIELDS = 1000
FORM_TIMEOUT = 15.0  # seconds for the whole of it


async def read_form(request: Request) -> FormData:
    """The fields of a posted form; raises HTTPException where it is none, too large, too slow or cut off."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", ""):
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
        fields = parse_qsl(b"".join(parts).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise HTTPException(400) from None
    return FormData([(name, value.replace("\r\n", "\n")) for name, value in fields])


def text(form: FormData, name: str) -> str:
    """A field's text, empty where it isn't there."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""
