"""Secrets and personal data that each message and credential of these tests holds, and that nothing may show."""

import traceback

import pytest

TOKEN = "canary-device-token"
PHONE = "+4915112345678"
MAILBOX = "canary.person@example.com"
NAME = "Canary Person"
TEXT = "canary text"
SECRET = "canary-secret"

ALL = (TOKEN, PHONE, PHONE[1:], MAILBOX, NAME, TEXT, SECRET)


def shown(error: BaseException, logged: pytest.LogCaptureFixture) -> list[str]:
    """The canaries that an error shows, as text, repr or traceback with what caused it, or that a log line holds."""
    told = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error), logged.text]
    chain: BaseException | None = error
    while chain is not None:
        told += [str(chain), repr(chain), repr(chain.args)]
        chain = chain.__cause__ or chain.__context__
    return [canary for canary in ALL if any(canary in text for text in told)]
