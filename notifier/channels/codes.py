"""What a provider's codes mean, as data: each channel's `codes.toml`.

    provider = "fcm"

    [codes]
    UNREGISTERED = { kind = "address_gone", meaning = "the app was removed from the device" }
    429 = { kind = "throttled", meaning = "too many requests", retry_after = 60 }
    4xx = { kind = "refused", meaning = "the request was refused" }
    default = { kind = "unavailable", meaning = "an answer that says nothing" }

`kind` is a key of `notifier.errors.SEND_ERRORS`, `meaning` our own words, `retry_after` the seconds to wait where the
answer names none. `default` is for what no other row knows. Codes come and go: a new one is a new row.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from notifier.errors import SEND_ERRORS, ConfigurationError, SendError

DEFAULT = "default"


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row."""

    kind: str
    meaning: str
    retry_after: float | None = None


class Codes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's table; `codes` always has a default."""

    provider: str
    codes: Mapping[str, Code]

    def classify(self, code: str, *wider: str, retry_after: float | None = None) -> SendError:
        """The error that a code stands for, by the first row there is: the code's, then those of the wider ones, in
        order.

        The error tells `code` even where only a wider one is known. `retry_after` is what the answer asked for, in
        seconds.
        """
        row = next((self.codes[name] for name in (code, *wider) if name in self.codes), self.codes[DEFAULT])
        wait = row.retry_after if retry_after is None else retry_after
        return SEND_ERRORS[row.kind](self.provider, code, row.meaning, retry_after=wait)


def load_codes(folder: Path) -> Codes:
    """The `codes.toml` of a folder; ConfigurationError names the file and what is wrong with it."""
    file = folder / "codes.toml"
    where = f"{folder.name}/{file.name}"
    try:
        table = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Codes)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{where}: {error}") from None
    for name, row in table.codes.items():
        if row.kind not in SEND_ERRORS:
            raise ConfigurationError(f"{where}: {name} has kind {row.kind!r}; write one of {', '.join(SEND_ERRORS)}")
    if DEFAULT not in table.codes:
        raise ConfigurationError(f"{where}: add a row {DEFAULT!r} for codes that no other row knows")
    return table
