"""What the pages for people say: the shape of `pages/<locale>.toml`."""

import msgspec


class NoSuchLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page of a link that isn't good."""

    title: str
    text: str


class UnsubscribeWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The page that switches one category off on one channel; `{category}` and `{by}` say which."""

    ask: str
    note: str
    button: str
    done: str
    off: str
    undo_about: str
    undo: str
    undone: str
    mandatory: str
    locked: str


class Paces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often messages come together."""

    label: str
    at_once: str
    hourly: str
    daily: str


class Tenants(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who else decides; `{name}` is a tenant's own."""

    network: str
    fleet: str
    host: str
    other: str


class Mistakes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong with a field."""

    not_a_time: str
    needs_both: str
    alike: str
    not_listed: str


class PreferenceWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The preference centre."""

    title: str
    intro: str
    saved: str
    not_saved: str
    grid: str
    no_address: str
    mandatory: str
    locked: str
    quiet: str
    quiet_about: str
    quiet_from: str
    quiet_until: str
    region: str
    locale: str
    time_zone: str
    everything: str
    everything_off: str
    everything_about: str
    save: str
    pace: Paces
    tenant: Tenants
    mistake: Mistakes


class PageWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `pages/<locale>.toml`; what channels are called stands in their own folders (`words.toml`)."""

    language: str
    languages: str
    no_such_link: NoSuchLink
    unsubscribe: UnsubscribeWords
    preferences: PreferenceWords
