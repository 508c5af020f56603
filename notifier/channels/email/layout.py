"""The frame that every e-mail shares, `templates/_layout/`: an HTML and a text template, and the footer's words."""

import re
from pathlib import Path

import msgspec
from jinja2 import Template, TemplateSyntaxError, meta

from notifier.channels.email.markup import Design
from notifier.channels.email.messages import EmailContent
from notifier.domain.catalog import Field
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.domain.reading import read_text
from notifier.rendering.formats import parse_locale
from notifier.rendering.language import FAILURES, compile_text, make_context, make_environment, one_line
from notifier.rendering.locales import closest, read_locales
from notifier.rendering.writing import Brand, Filled, Unspoken

FOLDER = "_layout"
NAMES = frozenset(
    [
        "lang",
        "dir",
        "brand",
        "home",
        "subject",
        "preheader",
        "heading",
        "paragraphs",
        "details",
        "colon",
        "content",
        "action",
        "link",
        "because",
        "postal_address",
        "unsubscribe",
        "unsubscribe_url",
    ]
)
"""The names that the two templates may use; docs/notification-types.md describes each."""

_GAP = re.compile(r"\n\s*\n")


class Because(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The footer's reason why somebody gets the mail, by audience; a folder of an earlier release knows no teams."""

    driver: str
    fleet_managers: str
    site_operators: str
    subscribers: str
    segment: str
    team: str = ""


class LayoutWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `_layout/<locale>.toml`: the separator between a label and its value, and the footer."""

    colon: str
    unsubscribe: str
    because: Because


class Layout:
    """The two compiled templates and the words by locale; raises ConfigurationError, which names the file at fault."""

    def __init__(self, templates: Path, brand: Brand) -> None:
        self._html = _compile(templates / FOLDER / "email.html", html=True)
        self._text = _compile(templates / FOLDER / "email.txt", html=False)
        self._design_text = _compile(templates / FOLDER / "design.txt", html=False)
        self.frame = _read(templates / FOLDER / "email.mjml")
        self._words = read_locales(templates / FOLDER, LayoutWords)
        self._because = {
            locale: _fill(f"{FOLDER}/{locale}.toml: because", words.because, brand)
            for locale, words in self._words.items()
        }
        self._brand = {"brand": brand.name, "home": brand.app_url, "postal_address": brand.postal_address}

    def check_speaks(self, locale: str) -> None:
        """Raise Unspoken where mails in this locale would have their footer in another language."""
        if closest(locale, self._words).split("-")[0] != locale.split("-")[0]:
            raise Unspoken(
                f"{FOLDER}/{locale}.toml is missing: a notification type has e-mails in {locale}",
                f"mails have no footer in {locale} yet; a developer has to add it (_layout, {locale})",
            )

    def compose(self, filled: Filled) -> EmailContent:
        """Compose a mail from the rendered parts of `[email]` or `[digest]` and their table's rows; rows without a
        value are left out.

        A design is rendered with the message's values as well.
        """
        parts, design = filled.parts, filled.compiled
        spoken = closest(filled.locale, self._words)
        words = self._words[spoken]
        subject = one_line(parts["subject"])
        told: dict[str, object] = {
            **self._brand,
            "lang": filled.locale,
            "dir": parse_locale(filled.locale).text_direction,
            "subject": subject,
            "preheader": one_line(parts["preheader"]),
            "link": filled.link,
            "colon": words.colon,
            "because": self._because[spoken][filled.audience],
            "unsubscribe": words.unsubscribe,
            "unsubscribe_url": filled.unsubscribe_url,
        }
        try:
            if isinstance(design, Design):
                given = {**filled.values, **told}
                text = _render(self._design_text, {**given, "content": _render(design.text, given).strip()})
                return EmailContent(subject=subject, text=text, html=_render(design.html, given))
            told |= {
                "heading": one_line(parts["heading"]),
                "paragraphs": [one_line(text) for text in _GAP.split(parts["body"].strip()) if text],
                "details": [(label, one_line(value)) for label, value in filled.rows if value.strip()],
                "action": one_line(parts["action"]),
            }
            return EmailContent(subject=subject, text=_render(self._text, told), html=_render(self._html, told))
        except FAILURES as error:
            raise RenderError(f"{FOLDER}/email.html or email.txt: {type(error).__name__}") from None


def _render(template: Template, values: dict[str, object]) -> str:
    """The template's text; without the copy of its globals, of which there are none, that `Template.render` makes."""
    return "".join(template.root_render_func(template.new_context(values, shared=True)))


def _compile(file: Path, *, html: bool) -> Template:
    where = f"{file.parent.name}/{file.name}"
    environment = make_environment(html=html)
    try:
        tree = environment.parse(_read(file))
        unknown = meta.find_undeclared_variables(tree) - NAMES
        template = environment.from_string(tree)
    except TemplateSyntaxError as error:
        raise ConfigurationError(f"{where}, line {error.lineno}: {error.message}") from None
    if unknown:
        raise ConfigurationError(
            f"{where}: there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(NAMES))}"
        )
    return template


def _read(file: Path) -> str:
    try:
        return read_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.parent.name}/{file.name} can't be read ({type(error).__name__})") from None


def _fill(where: str, because: Because, brand: Brand) -> dict[str, str]:
    fields = {"brand": Field(type="text", about="The brand's name")}
    context = make_context({"brand": brand.name})
    return {
        audience: one_line(compile_text(f"{where}.{audience}", source, fields).render(context))
        for audience, source in msgspec.structs.asdict(because).items()
    }
