"""The content of an SMS, and an SMS to one number."""

import re
from typing import Final

from notifier.domain.messages import Content, Message

NUMBER: Final = re.compile(r"\+[1-9][0-9]{1,14}")
"""A number as Twilio writes it (E.164)."""


class SmsContent(Content, frozen=True, kw_only=True):
    """The text of an SMS; GSM-7 wherever the language allows."""

    text: str


class SmsMessage(Message, frozen=True, kw_only=True):
    """An SMS to one number (E.164). `time_to_live` is in seconds, sent as Twilio's ValidityPeriod."""

    to: str
    content: SmsContent
    time_to_live: int

    @property
    def address(self) -> str:
        return self.to
