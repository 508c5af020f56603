"""Rendering sent messages again from their delivery's row and its event, and proving them by the hash of the original:
for explanations, and for showing a message once more."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from notifier.domain.deliveries import Channel, HeldChannel, channel_of
from notifier.domain.errors import RenderError
from notifier.domain.events import BLANK
from notifier.domain.messages import Content, content_hash
from notifier.domain.twins import plain
from notifier.rendering import Renderer

UTC = "UTC"


class SentDelivery(Protocol):
    """A sent delivery as its row keeps it; `data` is its event's as JSON, `held` that of a digest's items."""

    @property
    def type(self) -> str: ...
    @property
    def channel(self) -> HeldChannel: ...
    @property
    def locale(self) -> str | None: ...
    @property
    def time_zone(self) -> str | None: ...
    @property
    def version(self) -> int | None: ...
    @property
    def content_hash(self) -> str | None: ...
    @property
    def data(self) -> str: ...
    @property
    def held(self) -> tuple[str, ...] | None: ...


class Again(NamedTuple):
    """A content rendered again; `proven` says whether it is identical to the original, None where no hash was kept.
    `unsubscribe_url` is its link, None where it has none."""

    content: Content
    proven: bool | None
    unsubscribe_url: str | None


def make_again(
    renderer: Renderer, sent: SentDelivery, languages: Iterable[str | None], unsubscribe_url: str | None
) -> Again | None:
    """Render a sent message again; None where nothing was sent, or it can't be rendered any more, as when its event's
    data are no longer kept.

    The row keeps the locale of the texts, and numbers and dates may have been in a nearer one: one of the `languages`,
    such as the person's at the decision, or now. A mail had a link to unsubscribe, or none. Which of them it was the
    hash says; where none of them fits, the first is the best guess.
    """
    channel = channel_of(sent.channel)
    if sent.locale is None or channel is None or not is_kept(sent):
        return None
    guess: Again | None = None
    for locale in dict.fromkeys(filter(None, (*reversed(list(languages)), sent.locale))):
        for link in dict.fromkeys((unsubscribe_url, None)):
            content = _render(renderer, channel, sent, locale, link)
            if content is not None and content_hash(content) == sent.content_hash:
                return Again(content, True, link)
            if guess is None and content is not None:
                guess = Again(content, None if sent.content_hash is None else False, link)
    return guess


def is_kept(sent: SentDelivery) -> bool:
    """Whether the data of which a message was made are kept."""
    return BLANK not in ((sent.data,) if sent.held is None else sent.held)


def _render(
    renderer: Renderer, channel: Channel, sent: SentDelivery, locale: str, unsubscribe_url: str | None
) -> Content | None:
    zone = sent.time_zone or UTC
    try:
        if sent.held is None:
            made = renderer.render(
                plain(sent.type), channel, locale=locale, time_zone=zone, data=msgspec.json.decode(sent.data),
                unsubscribe_url=unsubscribe_url, version=sent.version,
            )  # fmt: skip
        else:
            items = [msgspec.json.decode(item) for item in sent.held]
            made = renderer.render_digest(
                plain(sent.type), items, locale=locale, time_zone=zone, unsubscribe_url=unsubscribe_url,
                version=sent.version,
            )  # fmt: skip
    except RenderError:
        return None
    return made.content if made.locale == sent.locale else None
