"""The form of a test contact: a field for each kind of address that people have, and for each member of an address that
is of one channel alone, as its channel declares it."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from notifier.domain.addresses import Addresses, check_addresses, keep_hidden
from notifier.domain.channels import specs
from notifier.domain.messages import Device
from notifier.domain.preferences import Key
from notifier.domain.problems import from_decoding
from notifier.domain.recipients import check_email, check_phone
from notifier.store.console.contacts import Contact

LANGUAGE: Final = "en"


class AddressField(NamedTuple):
    """A member of an address as a field: `webhook.url`. `choices` are its values where there are only so many; one that
    `is_hidden` is never written into a page."""

    name: str
    label: str
    choices: tuple[str, ...]
    is_hidden: bool


@cache
def own_fields() -> Mapping[str, list[AddressField]]:
    """The fields of addresses that are of one channel alone, by what people call the channel."""
    return {
        spec.words(LANGUAGE).name: [
            AddressField(
                name=f"{spec.channel}.{member}",
                label=member.replace("_", " ").capitalize(),
                choices=_choices(shape),
                is_hidden=member in spec.hidden,
            )
            for member, shape in get_type_hints(spec.own_address).items()
        ]
        for spec in specs().values()
        if spec.own_address is not None
    }


def names() -> list[str]:
    """The names of all fields."""
    return ["name", *_SHARED, *(field.name for fields in own_fields().values() for field in fields)]


def read(
    given: Mapping[str, str], held: Contact | None, settings: Mapping[str, str]
) -> tuple[Contact | None, dict[str, str]]:
    """The contact that a form describes, by the settings of channels, and what is wrong by the field's name.

    An empty field says nothing: of an address that is of one channel alone, the rest of it is as the contact has it.
    """
    faults: dict[str, str] = {}
    try:
        msgspec.convert(given["name"], Key)
    except msgspec.ValidationError:
        faults["name"] = "One word of at most 100 characters."
    told: dict[str, str] = {}
    for field, check in _SHARED.items():
        try:
            if given[field]:
                told[field] = check(given[field])
        except ValueError as error:
            faults[field] = str(error)
    own, wrong = _read_own(given, {} if held is None else held.own, settings)
    faults |= wrong
    if not faults and not told and not own:
        faults["phone"] = "Give at least one address."
    return (None if faults else Contact(name=given["name"], own=own, **told)), faults


def _read_own(
    given: Mapping[str, str], held: Mapping[str, Any], settings: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, str]]:
    own: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for spec in specs().values():
        prefix = f"{spec.channel}."
        told = {name.removeprefix(prefix): text for name, text in given.items() if name.startswith(prefix) and text}
        if not told or spec.own_address is None:
            continue
        shown = {name: value for name, value in held.get(spec.channel, {}).items() if name not in spec.hidden}
        try:
            new = msgspec.convert({spec.channel.value: shown | told}, Addresses, strict=False)
            own |= msgspec.to_builtins(check_addresses(keep_hidden(new, held), settings))
        except msgspec.ValidationError as error:
            problem = from_decoding(42203, error)
            place = (problem.pointer or "").strip("/").replace("/", ".")
            faults[_place(place, spec.channel)] = problem.detail
        except ValueError as error:
            place, _, why = str(error).removeprefix("addresses.").partition(" ")
            faults[_place(place, spec.channel)] = f"{place.removeprefix(prefix).replace('_', ' ')} {why}"
    return own, faults


def _place(place: str, channel: str) -> str:
    """The field that a fault is told at: the first one of its channel where it names none."""
    fields = [name for name in names() if name.startswith(f"{channel}.")]
    return place if place in fields else fields[0]


def _choices(shape: Any) -> tuple[str, ...]:
    return get_args(shape) if get_origin(shape) is Literal else ()


def _check_token(token: str) -> str:
    try:
        return msgspec.convert({"value": token}, Device).value
    except msgspec.ValidationError:
        raise ValueError("token must be the app's FCM registration token") from None


_SHARED: Final[Mapping[str, Callable[[str], str]]] = {"phone": check_phone, "email": check_email, "token": _check_token}
"""How the kinds of address are read that several channels may use (`ChannelSpec.contact`)."""
