"""How a channel's messages are written: what its folder declares in `writing.py`, for the renderer that sends, the
checks, the editor and the preview.

A folder with a `preview.html` also says how its messages look; without one, the parts of their content are listed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from notifier.domain import channels
from notifier.domain.catalog import Audience
from notifier.domain.deliveries import Channel, HeldChannel, channel_of
from notifier.domain.errors import ConfigurationError
from notifier.domain.messages import Content
from notifier.rendering.findings import LintFinding

Table = msgspec.Struct
"""A channel's texts in one locale, as authors write them: sources by part, and where it has rows, those by label."""

HTML: Final = "html"
"""The part of a content, of whichever channel, that is shown in a frame and not read as words."""


class Brand(msgspec.Struct, frozen=True):
    """The sender's brand: its name in every SMS and mail, the app that links open, and the postal address in a mail's
    footer."""

    name: str
    app_url: str
    postal_address: str = ""


class Filled(msgspec.Struct, frozen=True, gc=False):
    """The texts of one message, rendered for its reader.

    `parts` and `rows` (label and value) are rendered, `addresses` too, with what they name quoted. `compiled` is what
    the channel's own `Writer.compile` made of the table, and `values` what the texts could name. `unsubscribe_url` is
    None where nothing can be switched off.
    """

    parts: Mapping[str, str]
    rows: Sequence[tuple[str, str]]
    addresses: Mapping[str, str]
    compiled: Any
    values: Mapping[str, Any]
    link: str
    locale: str
    audience: Audience
    unsubscribe_url: str | None


def _nothing(*_: object) -> None:
    """The default for a channel that has nothing more to check or compile."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The composer of a channel's messages, for one brand and one folder of templates.

    `write` makes the content; it may raise RenderError. `compile` takes the place for its errors and a table whose
    parts are compiled already, and makes what they don't say of themselves. `check_locale` refuses a locale in which
    the channel lacks words of its own. Both raise ConfigurationError.
    """

    write: Callable[[Filled], Content]
    compile: Callable[[str, Any], Any] = _nothing
    check_locale: Callable[[str], None] = _nothing


class Unspoken(ConfigurationError):
    """Raised where a channel lacks its own words in a locale; `words` is the message for authors."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message)
        self.words = words


class Box(NamedTuple):
    """A field of the editor's form: its part of the texts, its label, its height in lines, and a hint."""

    part: str
    label: str
    lines: int
    hint: str = ""


class Fold(NamedTuple):
    """Fields of the form that few texts need: they are collapsed until the first one has content."""

    title: str
    boxes: Sequence[Box]


class Measure(NamedTuple):
    """What is counted of a message: its `name` in JSON, how many a content takes, and how a number of them is told.

    `paid` says that the network pays for each, at the price that its settings name for the channel.
    """

    name: str
    unit: str
    of: Callable[[Any], int]
    told: Callable[[int], str] = str
    paid: bool = False


class DigestWriting(NamedTuple):
    """How several events are told in one message: the table `[digest]`, whose parts `label` and `value` make a row of
    each event, and how many rows there are at most."""

    table: type[Table]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Writing:
    """What a channel's texts are, and what becomes of them.

    `title` is what the editor calls the channel. `table` is what authors write and `boxes` the form that they write it
    in; `rows` names the part that is a table of rows by label, and `folded` the fields that few need. Parts that are
    `optional` are not there where they are empty, and `everywhere` has those of them that every language should have
    where one has them. `addresses` are links and not words: what they name is quoted. `used` is a table without what
    it has no use for.

    `open` makes the writer for a brand and a folder of templates; it raises ConfigurationError. `digest` is how several
    events come together, None where they don't.

    `read` is a content as plain words. `check` says what is wrong or doubtful with a content, and `markup` with the
    source of a part, each of its lines for itself; where they stand is added later. `measure` is what is counted,
    `preview` what the folder's `preview.html` shows beside the content, `views` the ways to look at it.
    """

    title: str
    table: type[Table]
    boxes: Sequence[Box]
    open: Callable[[Path, Brand], Writer]
    read: Callable[[Any], str]
    rows: Box | None = None
    folded: Fold | None = None
    optional: frozenset[str] = frozenset()
    everywhere: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()
    used: Callable[[Any], Table] = lambda table: table
    digest: DigestWriting | None = None
    check: Callable[[Any], Iterable[LintFinding]] = lambda _content: ()
    markup: Mapping[str, Callable[[str], Iterable[LintFinding]]] = field(default_factory=dict)
    measure: Measure | None = None
    preview: Callable[[Any], Mapping[str, Any]] = lambda _content: {}
    views: Sequence[str] = ()


@cache
def writing(channel: Channel) -> Writing:
    """Return the `Writing` that a channel's folder declares; raises KeyError for `NONE`."""
    channels.spec(channel)
    declared: Writing = channels.part(channel, "writing", "WRITING")
    return declared


@cache
def digesting() -> tuple[Channel, DigestWriting] | None:
    """The channel on which several events are told in one message, and how; the table `[digest]` is its own."""
    declared = ((channel, writing(channel).digest) for channel in channels.channels())
    return next(((channel, digest) for channel, digest in declared if digest is not None), None)


def measures() -> list[Measure]:
    """Return the measures of all channels, in the channels' order."""
    return [each for channel in channels.channels() if (each := writing(channel).measure)]


def is_framed(channel: HeldChannel) -> bool:
    """Whether a channel's messages are HTML, which pages show in a frame."""
    declared = channels.specs().get(known) if (known := channel_of(channel)) else None
    return declared is not None and HTML in declared.content.__struct_fields__
