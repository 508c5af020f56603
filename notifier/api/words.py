"""The texts of the pages for recipients: the schema of `pages/<locale>.toml`."""

import msgspec


class NoSuchLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts of the page for an invalid link."""

    title: str
    text: str


class UnsubscribeWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts of the page that switches one category off on one channel; `{category}` and `{by}` name them."""

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
    """Texts for the paces of digests."""

    label: str
    at_once: str
    hourly: str
    daily: str


class Tenants(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts about the tenants that also decide; `{name}` is the tenant's name."""

    network: str
    fleet: str
    host: str
    other: str


class Mistakes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts for the mistakes in form fields."""

    not_a_time: str
    needs_both: str
    alike: str
    not_listed: str


class PreferenceWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts of the preference centre."""

    title: str
    intro: str
    saved: str
    not_saved: str
    grid: str
    clicks: str
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
    """One `pages/<locale>.toml`; the names of channels are in the channels' own folders (`words.toml`)."""

    language: str
    languages: str
    no_such_link: NoSuchLink
    unsubscribe: UnsubscribeWords
    preferences: PreferenceWords
