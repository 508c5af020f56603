"""Errors in the markup of a mail's design: anything that could run, submit, load in the clear or be redirected by a
field.

Only what is known to be harmless passes: elements and attributes by name, addresses by how they begin, and fields where
they are words. It is read as mail programs read it, with their entities, quotes and escapes, never by its letters.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final, Literal, NamedTuple

Code = Literal["foreign", "link", "image_alt", "field_in_markup"]

_INLINE: Final = (
    "a abbr b bdi bdo big blockquote br caption center cite code col colgroup dd del div dl dt em font h1 h2 h3 h4 h5 "
    "h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub sup table tbody td tfoot th thead time "
    "tr tt u ul var wbr style"
)
_MJML: Final = (
    "accordion accordion-element accordion-text accordion-title button carousel carousel-image column divider group "
    "hero image navbar navbar-link raw section social social-element spacer style table text wrapper"
)
ELEMENTS: Final = frozenset(_INLINE.split()) | frozenset(f"mj-{name}" for name in _MJML.split())
"""The elements that a design may use; the others run code, ask for input, fetch, or change the meaning of the rest."""

ADDRESS: Final = re.compile(r"background|cite|.*(href|src|url|icon)", re.IGNORECASE)
"""Attributes whose value is one address."""
SPOKEN: Final = frozenset({"alt", "title", "aria-label", "summary", "abbr"})
"""Attributes whose value is text that people read, so it may contain fields."""
REFUSED: Final = re.compile(
    r"on.*|.*action|.*srcset|ping|poster|data|code|codebase|classid|archive|manifest|profile|longdesc|usemap|"
    r"dynsrc|lowsrc|http-equiv|srcdoc|xml.*|xlink.*|contenteditable",
    re.IGNORECASE,
)
"""Attributes that run, send or fetch."""

STYLES: Final = frozenset({"style", "mj-style"})
IMAGES: Final = frozenset({"img", "mj-image", "mj-carousel-image"})

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FIELD = "\ue000"
_LINK = "\ue001"
_CHOICE = "\ue002"
_LINKED = re.compile(r"\{\{-?\s*link\s*-?\}\}")
_SAFE = re.compile(rf"(https://[^\s/?#]|mailto:|tel:|{_LINK}$)", re.IGNORECASE)
_STRIPPED = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RUNS = re.compile(
    r"@(import|namespace|font-face)|(expression|image-set|image)\s*\(|behaviou?r\s*:|-moz-binding|(java|vb)script:",
    re.IGNORECASE,
)
_URL = re.compile(r"(?:url|src)\s*\(\s*[\"']?\s*(?!https://[^\s/?#])", re.IGNORECASE)
_CLEAR = re.compile(r"(?<!https:)//|\b(?!https:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PLAIN = re.compile(r"[a-z][a-z0-9-]*")


class MarkupFault(NamedTuple):
    """An error, with its line in the part."""

    code: Code
    line: int
    words: str


def faults_of(source: str) -> list[MarkupFault]:
    """Return the errors in a design's MJML, in order."""
    reader = _Reader()
    reader.feed(_TAG.sub(_marked, source))
    reader.close()
    return reader.found


def _marked(tag: re.Match[str]) -> str:
    """A letter in place of a field and another of a condition, nothing of a note; lines stay where they are."""
    lines = "\n" * tag[0].count("\n")
    if not tag[0].startswith("{{"):
        return (_CHOICE if tag[0].startswith("{%") else "") + lines
    return (_LINK if _LINKED.fullmatch(tag[0]) else _FIELD) + lines


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[MarkupFault] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ELEMENTS:
            self._add(
                "foreign", f"<{tag}> is not allowed in a mail: it runs, sends or fetches something, or has no effect"
            )
        self._style = tag in STYLES
        for name, value in attrs:
            for code, words in _of_attribute(name, value or ""):
                self._add(code, words)
        alts = [value or "" for name, value in attrs if name.strip(_CHOICE) == "alt"]
        if tag in IMAGES and not any(not alt or alt.strip() for alt in alts):
            self._add(
                "image_alt",
                'an image has no alt text; write alt="what it shows", or alt="" if it is decoration',
            )

    def handle_endtag(self, tag: str) -> None:
        if tag in STYLES:
            self._style = False

    def handle_data(self, data: str) -> None:
        if self._style:
            for code, words in _of_css(data):
                self._add(code, words)

    def handle_comment(self, data: str) -> None:
        if data.lstrip().startswith("["):
            self._add("foreign", "a conditional comment hides markup for one mail program; write it for all")

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002 (the parser's own signature)
        self._add("foreign", "a declaration (<![…]>) has no place in a mail")

    def handle_decl(self, decl: str) -> None:  # noqa: ARG002
        self._add("foreign", "a declaration (<!…>) has no place in a design's sections")

    def handle_pi(self, data: str) -> None:  # noqa: ARG002
        self._add("foreign", "a processing instruction (<?…>) has no place in a mail")

    def _add(self, code: Code, words: str) -> None:
        self.found.append(MarkupFault(code, self.getpos()[0], words))


def _of_attribute(written: str, value: str) -> Iterator[tuple[Code, str]]:
    name = written.strip(_CHOICE)
    if not name:
        return  # the condition encloses the next one
    if not _PLAIN.fullmatch(name) or REFUSED.fullmatch(name):
        told = re.sub(rf"[{_FIELD}{_LINK}{_CHOICE}]", "{…}", name)
        yield "foreign", f"the attribute {told} runs, sends or fetches something in a mail"
    elif ADDRESS.fullmatch(name):
        yield from _of_address(name, _STRIPPED.sub("", value))
    elif name not in SPOKEN:
        yield from _of_css(value)


def _of_address(name: str, address: str) -> Iterator[tuple[Code, str]]:
    for each in filter(None, address.split(_CHOICE)):
        if _FIELD in each or (_LINK in each and each != _LINK):
            yield "field_in_markup", f"{name} has a field in it; write a fixed address, or {{{{ link }}}} as a whole"
        elif not _SAFE.match(each):
            yield "link", f"the address {each[:60]!r} does not begin with https://; nobody can follow it safely"


def _of_css(text: str) -> Iterator[tuple[Code, str]]:
    plain = _COMMENT.sub("", _ESCAPE.sub(_unescaped, text.replace(_CHOICE, "")))
    if _FIELD in plain or _LINK in plain:
        yield "field_in_markup", "a style or a color has a field in it; fields are text only, so write a fixed value"
    if _RUNS.search(plain):
        yield (
            "foreign",
            "a style that imports or runs something doesn't work in mails, or tells third parties who reads them",
        )
    elif _URL.search(plain) or _CLEAR.search(plain):
        yield "link", "a style fetches from an address that does not begin with https://"


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1] is None:
        return str(escape[2])
    point = int(escape[1], 16)
    return chr(point) if 0 < point < 0x110000 else "\ufffd"
