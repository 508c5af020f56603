"""What Twilio tells us: what became of texts, and what people answer to them."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from notifier.api.endpoints import Context, Endpoint
from notifier.api.http import read_query
from notifier.api.signatures import Signed
from notifier.channels.sms import inbound
from notifier.channels.sms.inbound import IncomingText
from notifier.channels.sms.receipts import StatusCallback, read_status
from notifier.channels.sms.signature import FORM, JSON
from notifier.people.inbound import heed


class About(msgspec.Struct, frozen=True):
    """Which text a callback is about."""

    reference: str = ""


async def post_receipt(request: Request, context: Context) -> Response:
    """Move the delivery that `reference` names forward.

    Callbacks come at least once and in any order: repeats, latecomers and references that nobody knows are answered
    alike and change nothing.
    """
    signed: Signed = request.state.signed
    told = msgspec.convert(signed.fields, StatusCallback)
    report = read_status(read_query(request, About).reference, told, signed.account)
    if report is not None:
        await context.reports.add([report])
    return Response(status_code=204)


async def post_inbound(request: Request, context: Context) -> Response:
    """Heed a person's STOP, START or HELP, and have Twilio confirm it with one text; any other text is passed over."""
    signed: Signed = request.state.signed
    text = msgspec.convert(signed.fields, IncomingText)
    asked = await heed(context.engine.database, text, context.engine.clock.now())
    settings = context.settings
    answer = None if asked is None else inbound.answer(*asked, settings.brand_name, settings.app_url)
    return Response(inbound.twiml(answer), media_type="text/xml")


ENDPOINTS = [
    Endpoint(
        method="POST",
        path="/v1/receipts/twilio",
        scope=None,
        signed_by="twilio",
        handler=post_receipt,
        summary="What became of a text (Twilio's status callback)",
        query=About,
        takes={FORM: StatusCallback, JSON: StatusCallback},
        gives={204: None},
    ),
    Endpoint(
        method="POST",
        path="/v1/inbound/twilio",
        scope=None,
        signed_by="twilio",
        handler=post_inbound,
        summary="A person's answer to a text (Twilio's incoming message)",
        takes={FORM: IncomingText, JSON: IncomingText},
        gives={200: None},
    ),
]
