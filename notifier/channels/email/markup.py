"""Mails with a design of their own: MJML sections, compiled when they are published; at sending only Jinja runs.

The sections stand in the frame that every such mail shares (`templates/_layout/email.mjml`, at `<!-- content -->`), so
the brand, the footer and the unsubscribe link are always there. The text part is made from the sections' own words.
"""

import html
import re
from dataclasses import dataclass

from jinja2 import Template, TemplateSyntaxError
from mjml import mjml2html

from notifier.domain.errors import ConfigurationError
from notifier.rendering.language import make_environment

PLACE = "<!-- content -->"
MAX_HTML = 100 * 1024
"""Bytes of a compiled design: Gmail cuts a mail off at 102 kB, and with it the unsubscribe link."""

_HTML, _TEXT = make_environment(html=True), make_environment(html=False)

_BUTTON = re.compile(r"<mj-button\b[^>]*?\bhref=([\"'])(.*?)\1[^>]*>(.*?)</mj-button>", re.DOTALL)
_LINK = re.compile(r"<a\b[^>]*?\bhref=([\"'])(.*?)\1[^>]*>(.*?)</a>", re.DOTALL)
_IMAGE = re.compile(r"<(?:mj-image|img)\b[^>]*?\balt=([\"'])(.*?)\1[^>]*/?>")
_DROPPED = re.compile(r"<!--.*?-->|<(style|mj-style|mj-head)\b.*?</\1>", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>|</(?:p|div|h[1-6]|li|tr|mj-text|mj-button|mj-image|mj-section|mj-column)>")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>")
_LINES = re.compile(r"[ \t]*\n[ \t]*")


@dataclass(frozen=True, slots=True)
class Design:
    """A compiled design: HTML and text templates of the message's values and the layout's names."""

    html: Template
    text: Template


def compile_design(where: str, sections: str, text: str, frame: str) -> Design:
    """A design from its MJML sections, whose Jinja has been checked already; `text` stands for the one made from them.

    ConfigurationError with the place for MJML that doesn't compile or comes out too large.
    """
    if PLACE not in frame:
        raise ConfigurationError(f"{where}: mails with a design need _layout/email.mjml with {PLACE} in it")
    try:
        page = mjml2html(frame.replace(PLACE, sections, 1))
    except ValueError as error:  # MJML includes are refused here, too: nothing is read from this machine
        raise ConfigurationError(f"{where}: {error}") from None
    size = len(page.encode())
    if size > MAX_HTML:
        raise ConfigurationError(f"{where} makes {size // 1024} kB of HTML; mail programs cut off after 100")
    try:
        return Design(_HTML.from_string(page), _TEXT.from_string(text or text_of(sections)))
    except TemplateSyntaxError as error:  # MJML has moved the parts of a placeholder away from each other
        raise ConfigurationError(f"{where}: a placeholder is cut in two by a tag ({error.message})") from None


def text_of(sections: str) -> str:
    """Return the words of MJML sections in order, with the targets of links; Jinja stays in place."""
    told = _DROPPED.sub("", sections)
    told = _BUTTON.sub(r"\3: \2</mj-button>", told)
    told = _LINK.sub(r"\3 (\2)", told)
    told = _IMAGE.sub(r"\2<br/>", told)
    told = _TAG.sub("", _BREAK.sub("\n", told))
    lines = _LINES.sub("\n", html.unescape(told)).strip()
    return re.sub(r"\n{3,}", "\n\n", lines)
