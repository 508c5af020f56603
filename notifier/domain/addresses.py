"""Addresses that belong to a single channel, by the channel's name.

What each is, how it is checked and what of it is never shown is declared by the channel's folder (`ChannelSpec`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from notifier.domain.channels import specs
from notifier.domain.messages import Private

NO_SETTINGS: Final[Mapping[str, str]] = {}
"""What checks have where nothing is set: all that a setting permits is refused."""

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
    """Complete new addresses with the hidden members of the stored ones, where the new ones leave them out."""
    final: dict[str, Any] = {}
    for name, spec in _OWN.items():
        address, before = getattr(given, name), held.get(name, {})
        if address is not None:
            left_out = {each for each in spec.hidden & before.keys() if getattr(address, each) is None}
            final[name] = msgspec.structs.replace(address, **{each: before[each] for each in left_out})
    return msgspec.structs.replace(given, **final)


def shown(held: Mapping[str, Any]) -> dict[str, Any]:
    """Stored addresses without their hidden members."""
    return {
        name: {member: value for member, value in address.items() if member not in _OWN[name].hidden}
        for name, address in held.items()
        if name in _OWN
    }
