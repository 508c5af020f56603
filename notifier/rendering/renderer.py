"""The renderer: from a notification type and an event's data to one channel's content, in a person's language and
zone."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import msgspec
from babel import UnknownLocaleError

from notifier.domain import channels
from notifier.domain.catalog import Catalog, Field, NotificationType
from notifier.domain.deliveries import Channel
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.domain.messages import Content, Private
from notifier.domain.text import cut
from notifier.rendering.formats import parse_locale
from notifier.rendering.language import Part, compile_text, make_context, one_line
from notifier.rendering.locales import check_default, closest
from notifier.rendering.moments import Zones
from notifier.rendering.texts import OF_ADDRESSES, Script, Scripts, Spoken, Texts, Wording, compile_locale, read_wording
from notifier.rendering.writing import Brand, Filled, digesting, writing

KEPT = 200_000
"""Bytes of source text whose compiled form is cached, by locale: a draft is much like the live version, and like its
previous state. The shipped texts have a quarter of that; compiled they take fifty times as much."""

TOLD = 1024
"""Events whose values are cached: the messages of several channels are rendered within moments."""

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_QUOTED = re.compile("'.*'", re.DOTALL)


class Rendered(Private, frozen=True):
    """The content for one channel, and the locale and version of its texts."""

    content: Content
    locale: str
    version: int


FILES = 0
"""The version number of the texts in files, until a version of the store is live."""


class _Told(NamedTuple):
    """An event's data as the texts of a type use it: its values, and the notification's link."""

    data: Mapping[str, Any]
    values: Mapping[str, Any]
    link: str


class _Type(msgspec.Struct):
    notification_type: NotificationType
    model: type[msgspec.Struct]
    shape: type[msgspec.Struct]
    link: Part
    digest_link: Part | None
    least: Mapping[str, int]
    live: int
    versions: dict[int, Scripts]


class Renderer:
    """The compiled texts of every type; raises ConfigurationError, which names the file, the part and the line.

    The renderer starts with the default texts; versions from the store are added, and one of them is live. `forgiving`
    skips unusable texts.
    """

    def __init__(self, catalog: Catalog, templates: Path, brand: Brand, *, forgiving: bool = False) -> None:
        self._brand = msgspec.structs.replace(brand, app_url=brand.app_url.rstrip("/"))
        self._writers = {channel: writing(channel).open(templates, self._brand) for channel in channels.channels()}
        self._limits = {channel: each.longest_value for channel, each in channels.specs().items()}
        self._kept: dict[tuple[str, str, bytes], Spoken] = {}  # least recently used first
        self._told: dict[tuple[str, str | None], _Told] = {}  # least recently used first, too
        self.shipped = {kind.id: read_wording(templates / kind.id, kind) for kind in catalog.types.values()}
        self._types = {kind.id: _load_type(catalog, kind) for kind in catalog.types.values()}
        for name, wording in self.shipped.items():
            try:
                self.add(name, FILES, wording)
            except ConfigurationError:
                if not forgiving:
                    raise

    def compile(self, notification_type: str, wording: Wording) -> Scripts:
        """Check a wording and compile it; raises ConfigurationError for the first error."""
        check_default(notification_type, wording)
        return {locale: self._compile(notification_type, locale, texts) for locale, texts in wording.items()}

    def _compile(self, notification_type: str, locale: str, texts: Texts) -> Spoken:
        """Compile one locale's texts, or return the cached result for equal texts."""
        key = notification_type, locale, msgspec.json.encode(texts)
        spoken = self._kept.pop(key, None)
        if spoken is None:
            kind = self._types[notification_type].notification_type
            spoken = compile_locale(kind, locale, texts, self._writers)
            for channel in kind.channels:
                self._writers[channel].check_locale(locale)
        self._kept[key] = spoken
        while sum(len(source) for _, _, source in self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return spoken

    def add(self, notification_type: str, version: int, wording: Wording) -> None:
        """Add a version, so that it can be rendered; raises ConfigurationError like `compile`."""
        self._types[notification_type].versions[version] = self.compile(notification_type, wording)

    def go_live(self, notification_type: str, version: int) -> None:
        """Make a version live. It must have been added."""
        loaded = self._types[notification_type]
        loaded.versions[version]
        loaded.live = version

    def kind(self, notification_type: str) -> NotificationType:
        """Return the notification type with an id."""
        return self._types[notification_type].notification_type

    def live(self, notification_type: str) -> int:
        """Return a type's live version."""
        return self._types[notification_type].live

    def locales(self, notification_type: str) -> list[str]:
        """Return the locales of a type's live texts."""
        loaded = self._types[notification_type]
        return sorted(loaded.versions[loaded.live])

    def spoken(self, notification_type: str, locale: str) -> str:
        """Return the locale of a type's live texts that somebody of a locale reads."""
        loaded = self._types[notification_type]
        return closest(locale, loaded.versions[loaded.live])

    def has(self, notification_type: str, version: int) -> bool:
        """Whether a version has been added."""
        return notification_type in self._types and version in self._types[notification_type].versions

    def known_version(self, notification_type: str, version: int | None) -> int | None:
        """Return a version where it has been added, else None, by which `render` takes the live one."""
        return version if version is not None and self.has(notification_type, version) else None

    def render(
        self,
        notification_type: str,
        channel: Channel,
        *,
        locale: str,
        time_zone: str,
        data: Mapping[str, Any],
        event_id: str | None = None,
        unsubscribe_url: str | None = None,
        version: int | None = None,
    ) -> Rendered:
        """Render one message, in the live version unless another is given.

        `data` is the event's, decoded from JSON; with an `event_id` it is read once for all of its messages. Texts are
        in the closest locale that the type has; numbers and times in `locale` itself where that is the same language
        ("de-AT" formats in German texts), else in the texts' locale.
        Raises RenderError, which names the place and the field but never a value.
        """
        loaded = self._loaded(notification_type)
        number, scripts = self._version(loaded, version)
        told = self._tell(loaded, data, event_id)
        return self._render(loaded, scripts, number, channel, locale, time_zone, told, unsubscribe_url)

    def preview(
        self, notification_type: str, scripts: Scripts, channel: Channel, *, locale: str, time_zone: str,
        data: Mapping[str, Any], unsubscribe_url: str | None = None,
    ) -> Rendered:  # fmt: skip
        """Render a message from a compiled wording that isn't a version yet, for previews and tests."""
        loaded = self._types[notification_type]
        told = self._tell(loaded, data)
        return self._render(loaded, scripts, FILES, channel, locale, time_zone, told, unsubscribe_url)

    def _version(self, loaded: _Type, version: int | None) -> tuple[int, Scripts]:
        number = loaded.live if version is None else version
        if number not in loaded.versions:
            raise RenderError(f"{loaded.notification_type.id} has no version {number} here")
        return number, loaded.versions[number]

    def _render(
        self, loaded: _Type, scripts: Scripts, version: int, channel: Channel, locale: str, time_zone: str,
        told: _Told, unsubscribe_url: str | None,
    ) -> Rendered:  # fmt: skip
        spoken = closest(locale, scripts)
        script = scripts[spoken].channels.get(channel)
        if script is None:
            raise RenderError(f"{loaded.notification_type.id} has no texts for {channel}")
        values, link = told.values, told.link
        reader = self._reader(link, locale, spoken, _zones(loaded.notification_type, values, time_zone))
        known = {**_fitting(values, self._limits[channel]), **reader}
        context = make_context(known)
        filled = Filled(
            parts={name: part.render(context) for name, part in script.parts.items()},
            rows=[(label, part.render(context)) for label, part in script.rows.items()] if script.rows else [],
            addresses=self._addresses(loaded.notification_type, script, values) if script.addresses else {},
            compiled=script.compiled,
            values=known,
            link=link,
            locale=spoken,
            audience=loaded.notification_type.audience,
            unsubscribe_url=unsubscribe_url,
        )
        return Rendered(self._writers[channel].write(filled), spoken, version)

    def render_digest(
        self,
        notification_type: str,
        items: Sequence[Mapping[str, Any]],
        *,
        locale: str,
        time_zone: str,
        unsubscribe_url: str | None = None,
        version: int | None = None,
    ) -> Rendered:
        """Render a digest of several events, a row each; a digest of one event reads like a single message.

        Raises RenderError as `render` does.
        """
        collects = digesting()
        if collects is None:
            raise RenderError(f"{notification_type}: no channel has digests")
        channel, digest = collects
        if len(items) == 1:
            return self.render(
                notification_type, channel, locale=locale, time_zone=time_zone, data=items[0],
                unsubscribe_url=unsubscribe_url, version=version,
            )  # fmt: skip
        loaded = self._loaded(notification_type)
        number, scripts = self._version(loaded, version)
        spoken = closest(locale, scripts)
        script = scripts[spoken].digest
        if script is None or loaded.digest_link is None or not items:
            raise RenderError(f"{notification_type} has no digest of {len(items)}")
        told = [_read(loaded, loaded.shape, item) for item in items]
        link = self._address(loaded.notification_type, loaded.digest_link, told[0])
        reader = self._reader(link, locale, spoken, _zones(loaded.notification_type, told[0], time_zone))
        shared = make_context(told[0] | {"count": len(told), "more": max(len(told) - digest.rows, 0)} | reader)
        filled = Filled(
            parts={name: part.render(shared) for name, part in script.parts.items()},
            rows=[_row(loaded, script, values, reader, time_zone) for values in told[: digest.rows]],
            addresses={},
            compiled=None,
            values={},
            link=link,
            locale=spoken,
            audience=loaded.notification_type.audience,
            unsubscribe_url=unsubscribe_url,
        )
        return Rendered(self._writers[channel].write(filled), spoken, number)

    def _loaded(self, notification_type: str) -> _Type:
        loaded = self._types.get(notification_type)
        if loaded is None:
            raise RenderError(f"there is no notification type {notification_type}")
        return loaded

    def _tell(self, loaded: _Type, data: Mapping[str, Any], event_id: str | None = None) -> _Told:
        """Return an event's data as texts use it, cached for the event's other messages."""
        key = loaded.notification_type.id, event_id
        told = self._told.pop(key, None)
        if told is None or told.data != data:  # an id may be reused once its event was erased
            # A stored event's data was checked when the event was accepted.
            values = _read(loaded, loaded.model if event_id is None else loaded.shape, data)
            told = _Told(data, values, self._address(loaded.notification_type, loaded.link, values))
        if event_id is not None:
            self._told[key] = told
            if len(self._told) > TOLD:
                del self._told[next(iter(self._told))]
        return told

    def _reader(self, link: str, locale: str, spoken: str, zones: Zones) -> dict[str, Any]:
        """Return the values that every text has, for one reader."""
        formats = _format_locale(locale, spoken)
        return {"brand": self._brand.name, "link": link, "locale": formats, "zone": zones}

    def _addresses(self, kind: NotificationType, script: Script, values: Mapping[str, Any]) -> dict[str, str]:
        return {name: self._address(kind, part, values) for name, part in script.addresses.items()}

    def _address(self, kind: NotificationType, part: Part, values: Mapping[str, Any]) -> str:
        """Render the address of a link or image: a value can fill only one path segment or one parameter."""
        named = {name: _quoted(kind.data[name], values[name]) for name in part.uses if name not in OF_ADDRESSES}
        return part.render(make_context({"app_url": self._brand.app_url, **named}))


def _load_type(catalog: Catalog, kind: NotificationType) -> _Type:
    model = cast("type[msgspec.Struct]", catalog.model(kind.event))  # every event that triggers a type has one
    in_links = {name: field for name, field in kind.data.items() if field.type == "text" and not field.optional}
    in_links |= OF_ADDRESSES
    link = compile_text(f"{kind.id}/type.toml: link", kind.link, in_links)
    digest_link = None
    if kind.digest is not None:
        shared = {name: field for name, field in in_links.items() if name in (*OF_ADDRESSES, *kind.digest.key)}
        digest_link = compile_text(f"{kind.id}/type.toml: digest.link", kind.digest.link, shared)
    least = {name: field.min for name, field in kind.data.items() if field.min is not None}
    return _Type(kind, model, catalog.shape(kind.event), link, digest_link, least, FILES, {})


def _read(loaded: _Type, model: type[msgspec.Struct], data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        values = msgspec.structs.asdict(msgspec.convert(data, model))
    except msgspec.ValidationError as error:
        told = _QUOTED.sub("…", str(error))  # msgspec quotes the value it refuses
        words = f"the event's data no longer fits its type: {told}"
        raise RenderError(f"{loaded.notification_type.id}: the data doesn't fit: {told}", words) from None
    for name, least in loaded.least.items():
        if values[name] is not None and values[name] < least:
            values[name] = None if loaded.notification_type.data[name].optional else least
    return {name: _clean(value) if isinstance(value, str) else value for name, value in values.items()}


def _zones(kind: NotificationType, values: Mapping[str, Any], reader: str) -> Zones:
    """Return the zones of a message: times of a place are local to that place, wherever the driver lives."""
    return Zones((kind.zone and values[kind.zone]) or reader, reader)


def _quoted(field: Field, value: Any) -> Any:
    """Percent-encode a value for an address; a code stays as it is, because it is compared and never shown."""
    return quote(value, safe="") if isinstance(value, str) and not field.one_of else value


def _clean(text: str) -> str:
    """Remove line breaks, control characters and direction overrides, so that a value can't affect the text around
    it."""
    return " ".join(_CONTROLS.sub(" ", unicodedata.normalize("NFC", text)).split())


def _fitting(values: Mapping[str, Any], limit: int | None) -> Mapping[str, Any]:
    if limit is None:
        return values
    return {
        name: cut(value, limit - 1).rstrip() + "…" if isinstance(value, str) and len(value) > limit else value
        for name, value in values.items()
    }


def _row(
    loaded: _Type, script: Script, values: Mapping[str, Any], reader: Mapping[str, Any], time_zone: str
) -> tuple[str, str]:
    """Render a digest's row for one event."""
    context = make_context({**values, **reader, "zone": _zones(loaded.notification_type, values, time_zone)})
    return one_line(script.rows["label"].render(context)), script.rows["value"].render(context)


@lru_cache(1024)
def _format_locale(wanted: str, spoken: str) -> str:
    """Return the locale for numbers and times, which must match the text's language."""
    if wanted.split("-")[0] != spoken.split("-")[0]:
        return spoken
    try:
        parse_locale(wanted)
    except (ValueError, UnknownLocaleError):
        return spoken
    return wanted
