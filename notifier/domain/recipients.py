"""Who can hear: drivers, fleet managers and site operators, their addresses, language, zone and switches.

Addresses are checked here, once, where they come in; everything behind trusts them.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import msgspec
import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from notifier.domain import identifiers
from notifier.domain.addresses import NO_SETTINGS, Addresses, check_addresses, keep_hidden, of_this_release
from notifier.domain.ids import make_id
from notifier.domain.messages import Device, Private
from notifier.domain.preferences import Key, Preferences, PreferencesPatch, RecipientId, merged
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.sayable import zones
from notifier.domain.segments import Value
from notifier.domain.text import LINE

MAX_DEVICES = 20  # a person's phones, tablets and browsers; more point to a leak in the caller's registration
MAX_AUDIENCES = 200  # fleets, sites, teams and charging tokens of one recipient, each
MAX_TENANTS = 10  # tenants whose presets apply to one person: their fleet, its company, the host
COSTLY = (phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST)
MAX_ATTRIBUTES = 50  # of a recipient: segments use a handful

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=LINE)]
Region = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}(-[A-Z0-9]{1,3})?(?![\\s\\S])")]

T = TypeVar("T", bound=PreferencesPatch)

MAX_LOCAL = 64  # characters before the @ of a mailbox (RFC 5321 §4.5.3.1.1)

_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]|^[ \t\u00a0]+|[ \t\u00a0]+(?![\\s\\S])"
)
"""Characters that copying adds to an address: spaces around it; zero-width characters and direction marks anywhere."""

# Ofcom's numbers for tests and films, which no table of valid numbers includes.
_FOR_TESTS = re.compile(r"\+447700900[0-9]{3}")

# .local (RFC 6762) names mailboxes of a local network, which its relay knows; the library permits the name this way.
if "local" in SPECIAL_USE_DOMAIN_NAMES:
    SPECIAL_USE_DOMAIN_NAMES.remove("local")


class RecipientDetails(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says about a recipient (`PUT /v1/recipients/{id}`, a line of the bulk import).

    `tokens` are charging tokens (OCPI contract ids or RFID uids), `fleets` and `sites` what the recipient looks after,
    `teams` those who run a service together.
    `tenants` are whose presets hold for them, the nearest first (`fleet:acme`, `host:mall-7`); `region` is ISO 3166
    (`US-FL`, else what the phone's country code says); `attributes` are what segments choose people by. `devices`,
    which other services write too, stay where the caller says nothing of them; so do `addresses`, which are of one
    channel alone, and each of the `preferences`.
    """

    kind: Literal["driver", "fleet_manager", "site_operator"] = "driver"
    name: Name | None = None
    email: str | None = None
    phone: str | None = None
    locale: str = "en"
    time_zone: str = "UTC"
    devices: Annotated[list[Device], msgspec.Meta(max_length=MAX_DEVICES)] | None = None
    addresses: Addresses | None = None
    tokens: Annotated[list[Key], msgspec.Meta(max_length=MAX_AUDIENCES)] = []
    fleets: Annotated[list[Key], msgspec.Meta(max_length=MAX_AUDIENCES)] = []
    sites: Annotated[list[Key], msgspec.Meta(max_length=MAX_AUDIENCES)] = []
    teams: Annotated[list[Key], msgspec.Meta(max_length=MAX_AUDIENCES)] = []
    tenants: Annotated[list[Key], msgspec.Meta(max_length=MAX_TENANTS)] = []
    region: Region | None = None
    attributes: Annotated[dict[Key, Value], msgspec.Meta(max_length=MAX_ATTRIBUTES)] = {}
    preferences: PreferencesPatch | None = None

    def checked(self, settings: Mapping[str, str] = NO_SETTINGS) -> Self:
        """Details with their addresses in canonical form, by the settings of channels.

        Raises ValueError that begins with the field's name and tells the shape expected, never the value.
        """
        return msgspec.structs.replace(
            self,
            email=None if self.email is None else check_email(self.email),
            phone=None if self.phone is None else check_phone(self.phone),
            locale=check_locale(self.locale),
            time_zone=check_time_zone(self.time_zone),
            addresses=None if self.addresses is None else check_addresses(self.addresses, settings),
            region=self.region or (None if self.phone is None else country_of(self.phone)),
            preferences=None if self.preferences is None else check_preferences(self.preferences),
        )

    def audiences(self, recipient_id: str) -> list[str]:
        """The audience keys under which events find this recipient, such as `driver:42` or `fleet:acme`."""
        keys = [f"driver:{recipient_id}"] if self.kind == "driver" else []
        keys += [identifiers.audience("token", token) for token in self.tokens]
        keys += [f"fleet:{fleet}" for fleet in self.fleets]
        keys += [f"site:{site}" for site in self.sites]
        keys += [f"team:{team}" for team in self.teams]
        return list(dict.fromkeys(keys))


class ImportLine(RecipientDetails, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of the bulk import: the recipient's id and details in one object."""

    id: RecipientId


class Recipient(Private, frozen=True, kw_only=True, gc=False):
    """A recipient as the pipeline reads it: `own` are the addresses of one channel alone, the keys those of the others
    (`store.people.suppressions`)."""

    id: str
    name: str | None
    email: str | None
    phone: str | None
    devices: list[Device]
    facts: RecipientFacts
    own: Mapping[str, Any] = {}
    phone_key: str | None = None
    email_key: str | None = None


def device_id(device: Device) -> str:
    """The id of a device: an app installation belongs to one recipient at a time, the last one who registered it."""
    return make_id("device", device.kind, device.value)


def check_email(text: str) -> str:
    """One mailbox in canonical form; ValueError for lists, display names, quoted local parts and control characters."""
    told = _INVISIBLE.sub("", text)
    local = told.rpartition("@")[0]
    if local.isprintable() and not local.isascii():
        raise ValueError(
            "email has non-ASCII characters before the @, which need SMTPUTF8, and that is not supported; "
            "write it as name@example.com"
        )
    if len(local) > MAX_LOCAL:
        raise ValueError(f"email has more than {MAX_LOCAL} characters before the @; write it as name@example.com")
    try:
        return validate_email(told, check_deliverability=False, allow_quoted_local=False).normalized
    except EmailNotValidError:  # the error's text may contain the address
        raise ValueError("email must be one valid address; write it as name@example.com") from None


def check_phone(text: str) -> str:
    """A phone number in E.164 form; ValueError if it has no country code or can't exist."""
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise ValueError("phone must be a number in international form; write it as +49 151 23456789") from None
    if number.extension:
        raise ValueError("phone has an extension, which no SMS can reach; write it as +49 151 23456789")
    written = _e164(number)
    if not phonenumbers.is_valid_number(number):
        number = phonenumbers.parse(identifiers.line(written), None)
        written = _e164(number)
    if not phonenumbers.is_valid_number(number) and not _FOR_TESTS.fullmatch(written):
        raise ValueError("phone can't exist: its country has no such number; write it as +49 151 23456789")
    if phonenumbers.number_type(number) in COSTLY:
        raise ValueError("phone is a premium-rate number; write a person's own, as +49 151 23456789")
    return written


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def country_of(phone: str) -> str | None:
    """The country (ISO 3166-1) of a phone number; None for a number of no country, such as a satellite's."""
    try:
        country = phonenumbers.region_code_for_number(phonenumbers.parse(phone, None))
    except phonenumbers.NumberParseException:
        return None
    return None if country in (None, "001") else str(country)


def check_preferences(given: T) -> T:
    """Preferences with their locale in canonical form; ValueError as from `check_locale` and `check_time_zone`."""
    return msgspec.structs.replace(
        given,
        locale=None if given.locale is None else check_locale(given.locale),
        time_zone=None if given.time_zone is None else check_time_zone(given.time_zone),
    )


def check_locale(text: str) -> str:
    """A language tag (BCP 47), such as `de-AT`, in canonical case, whether or not there are texts in it.

    ValueError for what isn't one.
    """
    tag = identifiers.locale(text)
    if tag is None:
        raise ValueError("locale is not a language tag; write it as 'de' or 'de-AT'")
    return tag


def check_time_zone(text: str) -> str:
    """An IANA zone name; ValueError for another."""
    if text not in zones():
        raise ValueError("time_zone is not an IANA zone; write it as 'Europe/Berlin'")
    return text


def put_over(
    held: Mapping[str, Any] | None, given: RecipientDetails, settings: Mapping[str, str] = NO_SETTINGS
) -> RecipientDetails:
    """Details that replace what is held (None for nothing), checked: what is never shown of an address and they leave
    out is as it is held. Raises as `RecipientDetails.checked` does.
    """
    if held is not None and given.addresses is not None:
        given = msgspec.structs.replace(given, addresses=keep_hidden(given.addresses, held["addresses"]))
    return given.checked(settings)


def patched(
    held: Mapping[str, Any], patch: Mapping[str, Any], settings: Mapping[str, str] = NO_SETTINGS
) -> RecipientDetails:
    """Details after a merge patch (RFC 7396) to what is held, checked; raises as `decode_details` and `checked` do.

    `held` is shaped as RecipientDetails, its preferences whole.
    """
    after = merged({**held, "addresses": of_this_release(held["addresses"])}, patch)
    if "phone" in patch and "region" not in patch and held["phone"] and held["region"] == country_of(held["phone"]):
        del after["region"]  # the region came from the old number
    if "devices" not in patch:
        del after["devices"]
    elif patch["devices"] is None:
        after["devices"] = []
    if "addresses" not in patch:
        del after["addresses"]
    elif patch["addresses"] is None:
        after["addresses"] = {}
    preferences = msgspec.convert({"preferences": after.get("preferences", {})}, _Whole).preferences
    details = msgspec.convert(after, RecipientDetails)
    return msgspec.structs.replace(details, preferences=preferences).checked(settings)


class _Whole(Private, frozen=True):
    """Preferences that say all; within a member, so that what doesn't fit is told with its place."""

    preferences: Preferences


def decode_details(body: bytes) -> RecipientDetails:
    """Details from JSON, not checked yet; what is raised is one of `problems.UNDECODABLE`."""
    return msgspec.json.decode(body, type=RecipientDetails)
