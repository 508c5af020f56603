"""Twilio's webhooks: delivery receipts, and people's replies."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import ApiContext, Endpoint, SignatureScheme
from notifier.api.http import FORM, JSON, read_body, read_query
from notifier.channels.sms import inbound
from notifier.channels.sms.heeding import heed
from notifier.channels.sms.inbound import IncomingText
from notifier.channels.sms.receipts import PATH, StatusCallback, read_status
from notifier.channels.sms.settings import ACCOUNTS
from notifier.channels.sms.signature import HEADER, read_signed
from notifier.domain.problems import problem

MAX_SIGNED: Final = 64 * 1024
"""Bytes of a callback or an incoming text; Twilio sends one or two thousand."""

_accounts = lru_cache(2)(ACCOUNTS.read)  # read once, not for each callback


class About(msgspec.Struct, frozen=True):
    """The query of a callback: the reference of its text."""

    reference: str = ""


class Signed(msgspec.Struct, frozen=True):
    """The fields of a signed request, and the name of the account that signed it."""

    fields: Mapping[str, str]
    account: str


async def read_signed_request(request: Request, context: ApiContext) -> Signed:
    """Read a request that Twilio signed for our public URL; raises Problem 40302 for any other.

    The signature is over the URL that we gave Twilio, whatever host and scheme a proxy makes of it.
    """
    query = request.scope["query_string"].decode("latin-1")
    url = context.settings.public_url + request.scope["path"] + (f"?{query}" if query else "")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    signature = request.headers.get(HEADER, "")
    body = await read_body(request, MAX_SIGNED)
    for account in _accounts(context.settings.channels[ACCOUNTS.name]):
        fields = read_signed(account.token, url, media, signature, body)
        if fields is not None:
            return Signed(fields, account.name)
    raise problem(40302, "the signature matches none of our accounts for this address under NOTIFIER_PUBLIC_URL")


async def post_receipt(request: Request, context: ApiContext) -> Response:
    """Update the delivery that `reference` names.

    Callbacks come at least once and in any order: repeated, late and unknown ones get the same answer and change
    nothing.
    """
    signed: Signed = request.state.signed
    told = msgspec.convert(signed.fields, StatusCallback)
    report = read_status(read_query(request, About).reference, told, signed.account)
    if report is not None:
        await context.reports.add([report])
    return Response(status_code=204)


async def post_inbound(request: Request, context: ApiContext) -> Response:
    """Process a person's STOP, START or HELP, which Twilio confirms with one text; any other text is ignored."""
    signed: Signed = request.state.signed
    text = msgspec.convert(signed.fields, IncomingText)
    asked = await heed(context.engine.database, text, context.engine.clock.now())
    settings = context.settings
    answer = None if asked is None else inbound.answer(*asked, settings.brand_name, settings.app_url)
    return Response(inbound.twiml(answer), media_type="text/xml")


TWILIO: Final = SignatureScheme(
    name="twilio",
    header=HEADER,
    description="Twilio's signature of the public URL and the fields",
    read=read_signed_request,
)

ENDPOINTS: Final = [
    Endpoint(
        method="POST",
        path=PATH,
        scope=None,
        signed_by=TWILIO,
        handler=post_receipt,
        summary="Report a text's status (Twilio's status callback)",
        query=About,
        takes={FORM: StatusCallback, JSON: StatusCallback},
        gives={204: None},
    ),
    Endpoint(
        method="POST",
        path="/v1/inbound/twilio",
        scope=None,
        signed_by=TWILIO,
        handler=post_inbound,
        summary="Report a person's reply to a text (Twilio's incoming message)",
        takes={FORM: IncomingText, JSON: IncomingText},
        gives={200: None},
    ),
]
