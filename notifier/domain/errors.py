"""Everything that can go wrong, as one family.

    NotifierError
    ├── ConfigurationError      a setting, a template folder or a key file is wrong: fix it, then start again
    ├── Problem                 a caller's request can't be taken; numbered, told as RFC 9457 problem JSON
    ├── StoreUnavailable        the database can't be read or written now: nothing was taken, try again
    ├── RenderError             a message can't be made from its texts and data: fix the type, or the event's producer
    └── SendError               a provider did not take a message
        ├── Refused             this message, for good: its content or its sender
        ├── AddressGone         this address, for good: the device, number or mailbox is no more
        ├── OptedOut            the person opted out at the carrier
        ├── Misconfigured       our account, key or sender: it needs a person, the message keeps waiting
        ├── Throttled           too fast: never processed, wait `retry_after`
        ├── Unavailable         the provider is down or was not reached: never processed, try again
        └── OutcomeUnknown      it may have been taken: a time-out after the body was sent

`retry` says whether the same thing may be tried again as it is.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

About = Literal["address", "message", "provider", "account", "ourselves"]
"""What an error is about. Only errors about the provider, or about our account there, say anything about other
messages."""


MAX_CODE = 40
"""Characters of a provider's code that are stored: longer than any known code, and the width of its column."""


class NotifierError(Exception):
    """The root of every error that the engine raises itself."""

    retry: ClassVar[bool] = False


class ConfigurationError(NotifierError):
    """A setting or a file that the process needs is missing or wrong; the message names it and the way out."""


class StoreUnavailable(NotifierError):
    """The database can't be reached, is locked, full or read-only."""

    retry = True


class RenderError(NotifierError):
    """A message can't be made from its texts and data; the message names the place and the field, never a value.

    `words` say the same to whoever writes texts and has the place before them.
    """

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words or message


class SendError(NotifierError):
    """A provider did not take a message.

    `provider` is the channel's provider name, `code` the provider's own code as text, `MAX_CODE` letters at the
    most, `detail` what it means in our words (never the provider's free text, which may hold an address), `retry_after`
    the seconds it asked us to wait.
    `retry_class` names the channel's `[retry.…]` table for it, and `about` whose fault it is: those of its kind, unless
    the code says otherwise.
    """

    kind: ClassVar[str]
    usually_about: ClassVar[About] = "provider"

    def __init__(
        self, provider: str, code: str, detail: str, *, retry_after: float | None = None,
        retry_class: str | None = None, about: About | None = None,
    ) -> None:  # fmt: skip
        super().__init__(f"{provider} {code}: {detail}")
        self.provider = provider
        self.code = code[:MAX_CODE]
        self.detail = detail
        self.retry_after = retry_after
        self.retry_class = retry_class or self.kind
        self.about = about or self.usually_about


class Refused(SendError):
    """The provider will never take this message: its content, its size or its sender."""

    kind = "refused"
    usually_about = "message"


class AddressGone(SendError):
    """The device, number or mailbox doesn't exist or can't receive; stop using it."""

    kind = "address_gone"
    usually_about = "address"


class OptedOut(SendError):
    """The person told the carrier or provider to stop."""

    kind = "opted_out"
    usually_about = "address"


class Misconfigured(SendError):
    """Our credentials, account or sender are wrong; every message would fail alike until a person mends it."""

    kind = "misconfigured"
    usually_about = "account"
    retry = True


class Throttled(SendError):
    """Too many requests; the provider did not process this one."""

    kind = "throttled"
    retry = True


class Unavailable(SendError):
    """The provider is down or could not be reached; it did not process this one."""

    kind = "unavailable"
    retry = True


class OutcomeUnknown(SendError):
    """The provider may or may not have taken the message: sending again may deliver it twice."""

    kind = "unknown"


SEND_ERRORS: Mapping[str, type[SendError]] = {
    error.kind: error
    for error in (Refused, AddressGone, OptedOut, Misconfigured, Throttled, Unavailable, OutcomeUnknown)
}
"""The kinds that the channels' code tables (`codes.toml`) may name."""


class Problem(NotifierError):
    """What a caller did that can't be taken: number, HTTP status, title, and what to do.

    `pointer` is a JSON pointer (RFC 6901) to the field at fault. The numbers are listed in `notifier.domain.problems`.
    """

    def __init__(
        self, code: int, status: int, title: str, detail: str, pointer: str | None = None, **more: Any
    ) -> None:
        super().__init__(f"{code} {title}: {detail}")
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.pointer = pointer
        self.more = more

    def body(self) -> dict[str, Any]:
        """The members of the problem document (RFC 9457 §3.1)."""
        told = {"type": f"/problems/{self.code}", "title": self.title, "status": self.status, "code": self.code}
        pointer = {} if self.pointer is None else {"pointer": self.pointer}
        return {**told, "detail": self.detail, **pointer, **self.more}
