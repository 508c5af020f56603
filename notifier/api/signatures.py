"""Requests that carry no key but a signature: Twilio's, or ours in a link that a person was sent."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from starlette.requests import Request

from notifier.api.endpoints import Context
from notifier.api.http import read_body
from notifier.channels.sms.signature import HEADER, read_signed
from notifier.domain.links import Unsubscribe, Visit
from notifier.domain.problems import problem

MAX_SIGNED = 64 * 1024  # bytes of a callback or an incoming text; Twilio sends one or two thousand


class Signed(msgspec.Struct, frozen=True):
    """What a request says, and the name of the account that signed it."""

    fields: Mapping[str, str]
    account: str


async def read_signed_request(request: Request, context: Context) -> Signed:
    """A request that Twilio signed for our public URL; raises Problem 40302 for any other.

    The URL is the one we told Twilio, whatever host and scheme a proxy in between has made of it.
    """
    query = request.scope["query_string"].decode("latin-1")
    url = context.settings.public_url + request.scope["path"] + (f"?{query}" if query else "")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    signature = request.headers.get(HEADER, "")
    body = await read_body(request, MAX_SIGNED)
    for account in context.sms_accounts:
        fields = read_signed(account.token, url, media, signature, body)
        if fields is not None:
            return Signed(fields, account.name)
    raise problem(40302, "no account of ours has signed this for this address under NOTIFIER_PUBLIC_URL")


def read_link(
    kind: Literal["unsubscribe_link", "preference_link"], request: Request, context: Context
) -> Unsubscribe | Visit | None:
    """What the path's token says; None where it isn't one of ours for this, or isn't good any more."""
    links, token = context.engine.links, request.path_params["token"]
    if kind == "unsubscribe_link":
        return links.read_unsubscribe(token)
    return links.read_visit(token, context.engine.clock.now())
