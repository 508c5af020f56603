"""Twilio's status callbacks, the receipts of texts (twilio.com/docs/messaging/guides/track-outbound-message-status)."""

import re
from typing import Final

import msgspec

from notifier.channels.sms.codes import CODES
from notifier.channels.sms.messages import NUMBER
from notifier.domain.deliveries import Channel, State
from notifier.domain.errors import Throttled, Unavailable
from notifier.domain.ids import is_id
from notifier.domain.messages import Private, Report
from notifier.providers.codes import suppresses

SMS: Final = Channel("sms")

PATH: Final = "/v1/receipts/twilio"
"""The path of Twilio's status callback, under our public URL."""

STATES: Final = {
    **dict.fromkeys(("accepted", "scheduled", "queued", "sending", "sent"), State.SENT),
    **dict.fromkeys(("delivered", "read"), State.DELIVERED),
    **dict.fromkeys(("undelivered", "failed", "canceled"), State.UNDELIVERED),
}
"""The outcome of a delivery by Twilio's status. The first ones only say that Twilio has the text."""

PASSES: Final = frozenset({Unavailable.kind, Throttled.kind})
"""The kinds of trouble after which a later try may come through; a misconfiguration needs a person."""

_SID: Final = re.compile(r"(SM|MM)[0-9a-f]{32}")
_CODE: Final = re.compile(r"[0-9]{1,6}")


class StatusCallback(Private, frozen=True, kw_only=True):
    """The fields of a callback that count here; Twilio sends more."""

    status: str = msgspec.field(name="MessageStatus", default="")
    sid: str = msgspec.field(name="MessageSid", default="")
    to: str = msgspec.field(name="To", default="")
    error_code: str = msgspec.field(name="ErrorCode", default="")


def read_status(reference: str, told: StatusCallback, account: str) -> Report | None:
    """Read a callback's receipt for the text with this reference; None for a status or reference that tells nothing."""
    state = STATES.get(told.status)
    if state is None or not is_id(reference):
        return None
    sid = told.sid if _SID.fullmatch(told.sid) else None
    report = Report(delivery=reference, channel=SMS, provider=account, state=state, reference=sid)
    if state != State.UNDELIVERED:
        return report
    if not _CODE.fullmatch(told.error_code):
        return msgspec.structs.replace(report, reason=told.status)
    error = CODES.classify(told.error_code)
    return msgspec.structs.replace(
        report,
        reason=error.kind,
        code=error.code,
        addresses=(told.to,) if NUMBER.fullmatch(told.to) else (),
        suppress=suppresses(SMS, error),
        again=error.retry_class if error.kind in PASSES else None,
    )
