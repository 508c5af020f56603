"""Addresses that belong to a single channel, by the channel's name.

What each is, how it is checked and what of it is never shown is declared by the channel's folder (`ChannelSpec`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from notifier.domain.channels import specs
from notifier.domain.messages import Private

NO_SETTINGS: Final[Mapping[str, str]] = {}
"""The settings of a check when none are given: everything that a setting could permit is refused."""

_OWN: Final = {spec.channel.value: spec for spec in specs().values() if spec.own_address is not None}

if TYPE_CHECKING:

    class Addresses(Private, frozen=True):
        """A recipient's addresses that belong to a single channel, by the channel's name."""
else:
    Addresses = msgspec.defstruct(
        "Addresses", [(name, spec.own_address | None, None) for name, spec in _OWN.items()], bases=(Private,),
        frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True,
    )  # fmt: skip


def check_addresses(given: Addresses, settings: Mapping[str, str]) -> Addresses:
    """Check addresses and return them in their final form, by the settings of channels.

    Raises ValueError that begins with the member at fault, such as `addresses.webhook.url`, and never tells a value.
    """
    final: dict[str, Any] = {}
    for name, spec in _OWN.items():
        address = getattr(given, name)
        if address is not None and spec.check_address is not None:
            try:
                final[name] = spec.check_address(address, settings)
            except ValueError as error:
                raise ValueError(f"addresses.{name}.{error}") from None
    return msgspec.structs.replace(given, **final)


def keep_hidden(given: Addresses, held: Mapping[str, Any]) -> Addresses:
    """Complete new addresses with the hidden members of the stored ones, where the new ones leave them out; null takes
    one away."""
    final: dict[str, Any] = {}
    for name, spec in _OWN.items():
        address, before = getattr(given, name), held.get(name, {})
        if address is not None:
            left_out = {each for each in spec.hidden & before.keys() if getattr(address, each) is UNSET}
            final[name] = msgspec.structs.replace(address, **{each: before[each] for each in left_out})
    return msgspec.structs.replace(given, **final)


def of_this_release(held: Mapping[str, Any]) -> dict[str, Any]:
    """Stored addresses without those of a channel that only another release has, as while one is rolled out."""
    return {name: address for name, address in held.items() if name in _OWN}


def laid_upon(held: Mapping[str, Any], given: Addresses) -> dict[str, Any]:
    """The addresses to store where new ones replace stored ones. Those that aren't `of_this_release` stay: nobody can
    name them here."""
    others = {name: held[name] for name in held.keys() - _OWN.keys()}
    return {**others, **msgspec.to_builtins(given)}


def shown(held: Mapping[str, Any]) -> dict[str, Any]:
    """Stored addresses without their hidden members. Which those are of a channel that only another release has, nobody
    knows here, so that its address isn't shown."""
    return {
        name: {member: value for member, value in address.items() if member not in _OWN[name].hidden}
        for name, address in of_this_release(held).items()
    }
