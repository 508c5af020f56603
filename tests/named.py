"""The channels by name: the engine's code asks `notifier.domain.channels`, and tests say what they mean."""

from typing import Final

from notifier.domain.deliveries import Channel

PUSH: Final = Channel("push")
SMS: Final = Channel("sms")
EMAIL: Final = Channel("email")
