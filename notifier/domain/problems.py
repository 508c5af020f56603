"""The numbered problems: what a caller did that can't be taken, and what to do about it.

A number is the HTTP status and two digits. It never changes meaning; `GET /problems/{number}` tells it to people.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from notifier.domain.errors import Problem
from notifier.domain.ids import FORM

TITLES: Mapping[int, tuple[str, str]] = {
    40001: ("Malformed JSON", "The body is not JSON (RFC 8259). Send UTF-8, no NaN, no comments."),
    40002: ("Not a CloudEvent", "The envelope needs specversion 1.0, id, source and type (CloudEvents 1.0)."),
    40101: ("API key missing", "Send the key as `Authorization: Bearer ntf_…`. `notifier keys create` creates one."),
    40102: ("API key not valid", "It is mistyped, revoked or expired. `notifier keys list` shows the valid ones."),
    40103: ("App token not valid", "It is missing, mistyped, expired or for another use. Request a new one."),
    40301: ("Scope missing", "The key is valid but lacks a scope. Create one with the scope that the detail names."),
    40302: ("Signature not valid", "Only Twilio calls this. Check NOTIFIER_PUBLIC_URL and NOTIFIER_SMS_PROVIDERS."),
    40303: ("Outside the key's bounds", ("The key is bound to other sources or event types; `notifier keys list` "
"shows them.")),
    40305: ("Needs somebody else", ("A key can't publish a draft that it saved. Somebody else publishes it, in the "
"console or with another key.")),
    40401: ("Not found", "There is nothing under this address."),
    40501: ("Method not allowed", "This address accepts other methods; the Allow header names them."),
    40801: ("Body too slow", "The body did not arrive in time. Send it again."),
    40901: ("Conflict with an earlier event", ("This source and id came with another body before. Give each event its "
"own id.")),
    40902: ("Conflict with another change", "Another request changed this first. Read the current state, then retry."),
    41001: ("Changes not kept any more", "Go on without `after`, from the oldest change that is kept, or `after=now`."),
    41201: ("Version conflict", "It was changed after you read it. Read it again and write with the new ETag."),
    41301: ("Body too large", "Send less at once; the detail names the limit."),
    41501: ("Media type not supported", "Send application/cloudevents+json, …-batch+json or application/json."),
    42201: ("Unknown event type", "No notification type listens to this event type. The detail lists the known ones."),
    42202: ("Event data doesn't fit", "The pointer names the field; the notification type's page documents it."),
    42203: ("Recipient doesn't fit", "The pointer names the field, the detail the expected shape."),
    42204: ("OCPI object doesn't fit", "The pointer names the field; OCPI 2.2.1 defines it."),
    42205: ("Request doesn't fit", "The pointer names the parameter or member, the detail the expected value."),
    42206: ("Segment doesn't fit", "The pointer names the condition or member, the detail the expected value."),
    42207: ("Texts can't be used", "The detail names the part; docs/notification-types.md describes the language."),
    42208: ("Experiment can't be", "The pointer names the member; docs/experiments.md describes what may be tried."),
    42209: ("OCPP frame doesn't fit", "The pointer names the member of the frame; OCPP 1.6 and 2.0.1 define it."),
    42901: ("Too many events", "The key's rate is exceeded. Repeat the request after the seconds in Retry-After."),
    42902: ("Too many events today", ("The key's events of this day (UTC) are used up. Retry-After tells the seconds "
"until the next.")),
    42903: ("Too many wait", "Too many requests wait for changes. Repeat it after the seconds in Retry-After."),
    50001: ("Internal error", "The error is ours and is logged. Repeat the request: a repeat does no harm."),
    50301: ("Store unavailable", "Nothing was written. Repeat the request after the seconds in Retry-After."),
}  # fmt: skip

RETRY_AFTER = 2  # seconds: longer than a failover's reconnect, shorter than a producer's patience


def problem(code: int, detail: str, pointer: str | None = None, **more: Any) -> Problem:
    """The problem with this number; its status is the number's first three digits."""
    return Problem(code, code // 100, TITLES[code][0], detail, pointer, **more)


UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Every exception that msgspec raises for JSON that it can't decode."""

_PLACE = re.compile(r"(?P<said>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)


def from_decoding(code: int, error: Exception, within: str = "") -> Problem:
    """The problem for one of `UNDECODABLE`: 40001 where it isn't JSON at all, else `code` with the member at fault.

    `within` is the pointer to the part that was being decoded. The detail never holds the value.
    """
    if isinstance(error, RecursionError):
        return problem(40001, "the JSON is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return problem(40001, "the JSON is not in UTF-8")
    if not isinstance(error, msgspec.ValidationError):
        return problem(40001, str(error))
    place = _PLACE.fullmatch(str(error))
    said, path = (place["said"], place["path"] or "") if place else (str(error), "")
    pointer = within + to_pointer(path)
    if missing := _MISSING.fullmatch(said):
        return problem(code, "this member is required", f"{pointer}/{missing[1]}")
    if unknown := _UNKNOWN.fullmatch(said):
        name = unknown[1].replace("~", "~0").replace("/", "~1")
        return problem(code, "there is no such member", f"{pointer}/{name}")
    if said.startswith("Invalid enum value"):  # msgspec quotes the value
        return problem(code, "unknown value; the API's documentation lists the allowed ones", pointer or None)
    if said == "Invalid RFC3339 encoded datetime":
        return problem(
            code,
            "not an RFC 3339 time, such as 2026-03-09T22:10:00Z; leap seconds (:60) are not accepted",
            pointer or None,
        )
    if FORM in said:
        return problem(code, "not an id of the notifier's, which has 32 hex digits", pointer or None)
    if "matching regex" in said:
        return problem(code, "the value has characters that are not allowed here", pointer or None)
    return problem(code, said, pointer or None)


def to_pointer(path: str) -> str:
    """A JSON pointer (RFC 6901) of msgspec's path, as far as it tells names: `$.data.cost[0]` is `/data/cost/0`."""
    return "".join(f"/{name or index}" for name, index in _STEP.findall(path))
