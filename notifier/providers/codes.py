"""What a provider's codes mean, as data: each channel's `codes.toml`.

    provider = "fcm"

    [codes]
    UNREGISTERED = { kind = "address_gone", meaning = "the app was removed from the device" }
    429 = { kind = "throttled", meaning = "too many requests", retry_after = 60 }
    450 = { kind = "unavailable", meaning = "the mailbox is not available for now", retry = "greylisted" }
    4xx = { kind = "refused", meaning = "the request was refused" }
    default = { kind = "unavailable", meaning = "an answer that says nothing" }

    [retry.unavailable]
    …

`kind` is a key of `notifier.domain.errors.SEND_ERRORS`, `meaning` our own words, `retry_after` the seconds for which
the provider gets no messages where its answer names none. `default` is for codes without a row of their own. Codes come
and go: a new one is a new row.

When the message is tried again says the `[retry.…]` table (`notifier.providers.retries`) of the row's `retry` or, where
it has none, of its kind.

`about` says whose fault it is: the `address` that the message goes to (a device, a number and its carrier, a mailbox
and its server), the `message`, the `provider`, our `account` there, or `ourselves`. The first two say nothing of other
messages: none of them waits, and no breaker opens. Without it, it is what its kind usually is about.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from notifier.domain.channels import spec
from notifier.domain.clock import SECOND
from notifier.domain.deliveries import Channel, Reason
from notifier.domain.errors import (
    SEND_ERRORS,
    About,
    AddressGone,
    ConfigurationError,
    OptedOut,
    OutcomeUnknown,
    SendError,
)
from notifier.providers.retries import Duration, Retry, decode

DEFAULT = "default"
DEFERRED = "deferred"  # the class of errors before any provider was asked
AGAIN = frozenset({kind for kind, error in SEND_ERRORS.items() if error.retry} | {OutcomeUnknown.kind})
"""The kinds of error after which a message may be retried."""


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of `codes.toml`: what a provider's code means."""

    kind: str
    meaning: str
    retry_after: float | None = None
    retry: str | None = None
    about: About | None = None


OURS: Final[Mapping[str, Code]] = {
    "busy": Code("unavailable", "no connection was free in time", retry=DEFERRED, about="ourselves"),
    "paced": Code("throttled", "this provider's rate limit is reached", retry=DEFERRED, about="ourselves"),
    "resting": Code(
        "unavailable",
        "the provider is paused by its circuit breaker or its Retry-After",
        retry=DEFERRED,
        about="ourselves",
    ),
}
"""Errors that hold a message back before any provider is asked. They are the same for all channels, so no `codes.toml`
has them."""
SOON: Final = Retry(first=Duration(SECOND), factor=1, most=Duration(SECOND))
"""The retry schedule of a held-back message; each error gives its minimum wait."""


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's tables, with `OURS`; `codes` always has a default, and `retry` whatever may be tried again."""

    provider: str
    codes: Mapping[str, Code]
    retry: Mapping[str, Retry]

    def classify(self, code: str, *wider: str, retry_after: float | None = None) -> SendError:
        """The error that a code stands for, by the first row there is: the code's, then those of the wider ones, in
        order.

        The error tells `code` even where only a wider one is known. `retry_after` is what the answer asked for, in
        seconds.
        """
        row = next((self.codes[name] for name in (code, *wider) if name in self.codes), self.codes[DEFAULT])
        wait = row.retry_after if retry_after is None else retry_after
        return SEND_ERRORS[row.kind](
            self.provider, code, row.meaning, retry_after=wait, retry_class=row.retry, about=row.about
        )


def load_codes(folder: Path) -> Codes:
    """The `codes.toml` of a folder; ConfigurationError names the file and what is wrong with it."""
    file = folder / "codes.toml"
    where = f"{folder.name}/{file.name}"
    try:
        table = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Codes, dec_hook=decode)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    table = msgspec.structs.replace(table, codes={**OURS, **table.codes}, retry={DEFERRED: SOON, **table.retry})
    for name, row in table.codes.items():
        if row.kind not in SEND_ERRORS:
            raise ConfigurationError(f"{where}: {name} has kind {row.kind!r}; write one of {', '.join(SEND_ERRORS)}")
        if row.retry is not None and (row.kind not in AGAIN or row.retry not in table.retry):
            raise ConfigurationError(f"{where}: {name} has retry {row.retry!r}, which is no table or never comes")
    for kind in AGAIN:  # it is also for errors without a code, such as a refused connection
        if kind not in table.retry:
            raise ConfigurationError(f"{where}: add a table [retry.{kind}]")
    if DEFAULT not in table.codes:
        raise ConfigurationError(f"{where}: add a row {DEFAULT!r} for codes without a row of their own")
    return table


def suppresses(channel: Channel, error: SendError) -> Reason | None:
    """Why the address that met an error is not to be written to any more; None where it still may be."""
    match error:
        case OptedOut():
            return Reason.STOPPED
        case AddressGone():
            return spec(channel).gone
        case _:
            return None
