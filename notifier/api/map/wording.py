"""The texts of the map page: the schema of `words/<locale>.toml`."""

import msgspec


class Numbered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One text for one thing, another for several: `{n}` is how many."""

    one: str
    other: str


class FilterWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts of the filters."""

    title: str
    free: str
    power: str
    any_power: str
    at_least: str
    plug: str
    any_plug: str
    plugs: str
    clear: str
    apply: str


class ConditionWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text for each condition of a port."""

    free: str
    busy: str
    reserved: str
    out_of_order: str
    unknown: str


class KeyWords(ConditionWords, frozen=True, forbid_unknown_fields=True):
    """What the map's signs mean."""

    title: str
    fast: str
    group: str


class PlaceWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts about one place."""

    back: str
    ports: str
    port: str
    operator: str
    changed: str
    heard: str
    gone: str
    directions: str
    directions_in: str
    household: str


class AlertWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts about being told when a port is free."""

    ask: str
    ask_plug: str
    how: str
    app: str
    waiting: str
    offered: str
    stop: str
    on: str
    off: str
    most: str
    failed: str


class WithoutScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Texts for browsers that run no script."""

    title: str
    about: str
    where: str
    near: str


class MapWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `words/<locale>.toml`."""

    language: str
    languages: str
    title: str
    map: str
    map_keys: str
    skip: str
    places: str
    near_me: str
    near_me_failed: str
    me: str
    zoom_in: str
    zoom_out: str
    more: str
    less: str
    live: str
    connecting: str
    not_live: str
    empty: str
    empty_filtered: str
    error: str
    retry: str
    crowded: str
    rest: str
    outlines: str
    whole_map: str
    none_free: str
    some_free: str
    up_to: str
    kw: str
    found: Numbered
    with_free: Numbered
    filters: FilterWords
    condition: ConditionWords
    since: ConditionWords
    key: KeyWords
    place: PlaceWords
    alert: AlertWords
    without_script: WithoutScript
