"""Our texts of one type, `payment.failed`, by Jinja and Babel as their documentation shows them."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from babel.numbers import format_currency
from jinja2 import DictLoader, Environment, pass_context, select_autoescape
from jinja2.runtime import Context

TEMPLATES = Path(__file__).parents[2] / "templates"
_BLANKS = re.compile("[ \n]+")  # no-break spaces stay
BRAND, HOME = "Voltline", "https://app.example.com"


class Letter(NamedTuple):
    """A mail's parts."""

    subject: str
    text: str
    html: str


@cache
def _environment(locale: str) -> Environment:
    texts = tomllib.loads((TEMPLATES / "payment-failed" / f"{locale}.toml").read_text("utf-8"))
    parts = {f"{channel}.{name}": part for channel, table in texts.items() for name, part in table.items()}
    frame = {name: (TEMPLATES / "_layout" / name).read_text("utf-8") for name in ("email.html", "email.txt")}
    environment = Environment(
        loader=DictLoader(parts | frame), trim_blocks=True, lstrip_blocks=True,
        autoescape=select_autoescape(["html"], default=False),
    )  # fmt: skip
    environment.filters["money"] = _money
    return environment


@cache
def _shared(locale: str) -> dict[str, Any]:
    return tomllib.loads((TEMPLATES / "_layout" / f"{locale}.toml").read_text("utf-8"))


@pass_context
def _money(context: Context, value: dict[str, Any]) -> str:
    return format_currency(value["amount"], value["currency"], locale=context["locale"])


def render(part: str, locale: str, data: dict[str, Any]) -> str:
    """One part, such as `push.title`, on one line."""
    text = _environment(locale).get_template(part).render(
        data, brand=BRAND, link=f"{HOME}/billing", locale=locale, next_attempt_at=None
    )  # fmt: skip
    return _BLANKS.sub(" ", text).strip()


def letter(locale: str, data: dict[str, Any]) -> Letter:
    """The mail."""
    names = ("subject", "preheader", "heading", "body", "action")
    parts = {name: render(f"email.{name}", locale, data) for name in names}
    words = _shared(locale)
    told = {
        **parts, "paragraphs": [parts["body"]], "lang": locale, "dir": "ltr", "brand": BRAND, "home": HOME,
        "details": [], "link": f"{HOME}/billing", "colon": words["colon"], "unsubscribe": words["unsubscribe"],
        "unsubscribe_url": None, "because": words["because"]["driver"].replace("{{ brand }}", BRAND),
        "postal_address": "",
    }  # fmt: skip
    text, html = (_environment(locale).get_template(name).render(told) for name in ("email.txt", "email.html"))
    return Letter(parts["subject"], text, html)
