"""Channels: how a person is reached. Each is a folder of `notifier/channels/`, found here by its name.

A folder declares one `ChannelSpec` in its `spec.py`, which the rest of the engine asks: no other place lists channels.
What needs more than the domain is declared beside it, each for the wing that asks, and loaded when it is asked for:

    spec.py       SPEC: ChannelSpec, whom it reaches and what its messages are
    writing.py    WRITING (notifier.rendering.writing): the texts that authors write, and how they become a message
    provider.py   PROVIDER (notifier.providers.spec): how it is sent and examined; missing where the row is the delivery
    codes.py      CODES (notifier.providers.codes): what its provider's codes mean, and when it is tried again
    settings.py   SETTINGS (notifier.runtime.settings): its accounts and what else is set of it; may be missing
    api.py        ENDPOINTS: what providers and apps tell it by HTTP; may be missing
    outbound.py   OUTBOUND (notifier.api.outbound): what it POSTs to endpoints of others; may be missing
    sandbox       STAND_IN and SERVICE (notifier.sandbox.stand_in): what stands in for its provider, and its column on
                  the sandbox's page; may be missing
    words.toml    what people call it, in each language of the pages
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from notifier.domain.deliveries import CHANNELS, Channel, Reason
from notifier.domain.messages import Content, Device, Message, Private, Urgency

FOLDERS: Final = Path(__file__).parents[1] / "channels"

Unknown = Literal["resend", "ask", "wait", "fail"]
"""How a message whose outcome at the provider is unknown is handled."""


class KnownAddresses(Private, frozen=True, gc=False):
    """Which addresses a person has: a mailbox, a phone, devices, and those of one channel alone by its name (`own`)."""

    email: bool = False
    phone: bool = False
    devices: bool = False
    own: frozenset[str] = frozenset()


class Reach(Private, frozen=True, kw_only=True, gc=False):
    """A person's addresses as of now: `device` is the delivery's own, `own` those that are of one channel alone, by the
    channel's name, as they stand in the store."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    device: Device | None = None
    own: Mapping[str, Any] = {}


class Envelope(Private, frozen=True, kw_only=True, gc=False):
    """What a message carries beside its content.

    `time_to_live` in seconds, `occurred_at` the instant of the event; `collapse_key` names what the message replaces,
    `subject` what it is about as the event names that, and `subject_key` its id; `closes` are the ids of what it says
    is over. `data` are the event's; `unsubscribe_url` is None where nothing can be switched off.
    """

    reference: str
    recipient_id: str
    notification_type: str
    occurred_at: int
    collapse_key: str
    subject: str
    subject_key: str
    closes: Sequence[str] = ()
    time_to_live: int
    urgency: Urgency
    unsubscribe_url: str | None = None
    data: Mapping[str, Any] = {}


class ChannelWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people call a channel in one language: its `name`, and `by` which way something comes."""

    name: str
    by: str


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """What a channel is.

    `order` is its place in lists, from 1. `by` and `address` are how explanations say it ("by push", "device").

    `content` is what its messages say. `own_address` is the shape of an address that is of this channel alone, which
    services write as `addresses.<channel>` of a recipient. `check_address` gives one its final form, by the settings of
    channels; it raises a ValueError that begins with the member at fault and tells the shape expected. Members that are
    `hidden` prove who we are: nobody is shown them, a write that leaves one out keeps it, and null takes it away. They
    are text, None, or UNSET where they are left out.

    `has_address` tells whether a person can be reached at all; `make_message` puts content, envelope and the person's
    address as of now together, None where there is none.
    `lead` is a content whose links lead to what a function makes of their addresses; None where links don't go through
    a browser.
    `per_device`: each of the person's devices gets a message of its own.

    Addresses that have a `canonical` form are suppressed by it once they fail, for the reason `gone` where the provider
    says that there is none any more; `key` names the columns of `recipient` that keep them. Without it, an address that
    is gone is forgotten.

    `when_unknown` is what becomes of a message that the provider may or may not have, where its type doesn't say
    otherwise; `can_ask` whether the provider can be asked. `collects` says that messages can come together in a digest,
    `unsubscribes` that a message has a link by which its category is switched off. `longest_value` is the most
    characters of a text value, None where there is room. `contact` names the field of a test contact that holds an
    address of its kind; an `own_address` is asked for by its members.
    """

    channel: Channel
    order: int
    by: str
    address: str
    content: type[Content]
    own_address: type[msgspec.Struct] | None = None
    check_address: Callable[[Any, Mapping[str, str]], msgspec.Struct] | None = None
    hidden: frozenset[str] = frozenset()
    has_address: Callable[[KnownAddresses], bool]
    make_message: Callable[[Envelope, Reach, Any], Message | None]
    lead: Callable[[Any, Callable[[str], str]], Content] | None = None
    when_unknown: Unknown
    can_ask: bool = False
    key: Literal["phone", "email"] | None = None
    canonical: Callable[[str], str] | None = None
    gone: Reason | None = None
    per_device: bool = False
    collects: bool = False
    unsubscribes: bool = False
    longest_value: int | None = None
    contact: str | None = None

    def words(self, locale: str) -> ChannelWords:
        """A channel's names in a language of the pages; KeyError for a language that its `words.toml` lacks."""
        return _words(self.channel)[locale]


@cache
def specs() -> Mapping[Channel, ChannelSpec]:
    """Every channel's declaration, in the order in which people see them."""
    found = [getattr(import_module(f"notifier.channels.{name}.spec"), "SPEC") for name in CHANNELS]  # noqa: B009
    return {spec.channel: spec for spec in sorted(found, key=lambda each: each.order)}


def spec(channel: Channel) -> ChannelSpec:
    """A channel's declaration; KeyError for `NONE`."""
    return specs()[channel]


def channels() -> Sequence[Channel]:
    """Every channel, in the order in which people see them."""
    return tuple(specs())


@cache
def part(channel: Channel, module: str, name: str) -> Any:
    """What a channel's folder declares in one of its modules; None if the folder has no such module."""
    path = f"notifier.channels.{channel.value}.{module}"
    return None if find_spec(path) is None else getattr(import_module(path), name)


@cache
def reachable(known: KnownAddresses) -> frozenset[Channel]:
    """The channels on which a person with these addresses can be reached."""
    return frozenset(channel for channel, each in specs().items() if each.has_address(known))


@cache
def _words(channel: Channel) -> Mapping[str, ChannelWords]:
    file = FOLDERS / channel.value / "words.toml"
    return msgspec.convert(tomllib.loads(file.read_text("utf-8")), dict[str, ChannelWords])
