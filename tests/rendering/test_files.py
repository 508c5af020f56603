import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from notifier.channels.email.layout import NAMES
from notifier.channels.email.messages import EmailContent
from notifier.domain.catalog import NotificationType
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.rendering import Renderer
from notifier.rendering.formats import FORMATS
from tests.named import EMAIL

TEMPLATES = Path(__file__).parents[2] / "templates"
Load = Callable[[], Renderer]

MAIL = """
[email]
subject = "{{ station }}"
preheader = "p"
heading = "h"
body = "one\\n\\ntwo"
action = "go"
[email.details]
"Cost" = "{% if cost %}{{ cost | money }}{% endif %}"
"""


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def with_mails(templates: Path, *locales: str) -> None:
    """Turn the type into one of mails alone, in these locales."""
    edit(templates / "charging-complete" / "type.toml", 'channels = ["push", "sms", "inbox"]', 'channels = ["email"]')
    for file in (templates / "charging-complete").glob("[!t]*.toml"):
        file.unlink()
    for locale in locales:
        (templates / "charging-complete" / f"{locale}.toml").write_text(MAIL, "utf-8")


def mail(renderer: Renderer, locale: str) -> EmailContent:
    data = {
        "driver_id": "42",
        "session_id": "101",
        "kind": "full",
        "station": "Gent Zuid",
        "energy_kwh": 41.12,
        "completed_at": "2026-03-09T17:42:00Z",
    }
    content = renderer.render(
        "charging-complete", EMAIL, locale=locale, time_zone="UTC", data=data, unsubscribe_url="https://x/y"
    ).content
    assert isinstance(content, EmailContent)
    return content


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("de.toml", "{{ station }}", "{{ statoin }}", r"charging-complete/de\.toml: push\.body, line 1: .*statoin"),
        ("de.toml", "[sms]", "[smsx]", r"charging-complete/de\.toml: .*unknown field `smsx`"),
        ("de.toml", "[sms]", "[email]", r"charging-complete/de\.toml: .*`\$\.email`"),
        ("de.toml", "title =", "titel =", r"charging-complete/de\.toml: .*`title`|`titel`"),
        ("de.toml", 'title = "', "title = ", r"charging-complete/de\.toml: .*line 4"),
        ("type.toml", "{{ app_url }}", "{{ app }}", r"charging-complete/type\.toml: link, line 1: .*app"),
        ("type.toml", "{{ session_id }}", "{{ cost | money }}", r"charging-complete/type\.toml: link, line 1: .*cost"),
        ("type.toml", "[data.station]", "[data.brand]", r"charging-complete/type\.toml: .*`brand`"),
        ("../_layout/de.toml", "{{ brand }}", "{{ name }}", r"_layout/de\.toml: because\.driver, line 1: .*name"),
        ("../_layout/de.toml", "unsubscribe =", "stop =", r"_layout/de\.toml: .*`stop`|`unsubscribe`"),
        ("../_layout/email.html", "{{ heading }}", "{{ headin }}", r"_layout/email\.html: there is no headin"),
        ("../_layout/email.html", "{{ heading }}", "{{ heading | e }", r"_layout/email\.html, line \d+: "),
    ],
)
def test_a_mistake_in_a_file_is_named_when_the_process_starts(
    templates: Path, load: Load, file: str, old: str, new: str, complaint: str
) -> None:
    edit(templates / "charging-complete" / file, old, new)

    with pytest.raises(ConfigurationError, match=complaint):
        load()


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("charging-complete/en.toml", r"charging-complete/en\.toml is missing"),
        ("_layout/en.toml", r"_layout/en\.toml is missing"),
        ("_layout/email.txt", r"_layout/email\.txt can't be read"),
    ],
)
def test_a_missing_file_is_named(templates: Path, load: Load, missing: str, complaint: str) -> None:
    (templates / missing).unlink()

    with pytest.raises(ConfigurationError, match=complaint):
        load()


@pytest.mark.parametrize("name", ["deutsch", "DE", "de_AT", "xx"])
def test_a_text_file_is_named_by_a_locale_that_exists(templates: Path, load: Load, name: str) -> None:
    (templates / "charging-complete" / "de.toml").rename(templates / "charging-complete" / f"{name}.toml")

    with pytest.raises(ConfigurationError, match=rf"charging-complete/{name}\.toml: "):
        load()


def test_a_locale_file_holds_the_tables_of_the_types_channels_and_no_other(templates: Path, load: Load) -> None:
    edit(templates / "charging-complete" / "type.toml", 'channels = ["push", "sms", "inbox"]', 'channels = ["push"]')

    with pytest.raises(ConfigurationError, match=re.escape("its tables must be those of the type's channels: [push]")):
        load()


def test_a_layout_that_asks_for_what_is_not_there_is_refused_with_its_file(templates: Path, load: Load) -> None:
    with_mails(templates, "en")
    edit(templates / "_layout" / "email.html", "{{ heading }}", "{{ heading.nothing }}")

    with pytest.raises(RenderError, match=r"_layout/email\.html"):
        mail(load(), "en")


def test_mails_in_a_language_need_a_footer_in_it(templates: Path, load: Load) -> None:
    with_mails(templates, "en", "nl")

    with pytest.raises(ConfigurationError, match=r"_layout/nl\.toml is missing"):
        load()


def test_a_regional_text_takes_the_footer_of_its_language(templates: Path, load: Load) -> None:
    with_mails(templates, "en", "de-AT")

    assert "weil du mit Voltline lädst" in mail(load(), "de-AT").text


def test_a_language_from_right_to_left_turns_the_whole_mail(templates: Path, load: Load) -> None:
    with_mails(templates, "en", "ar")
    footer = (templates / "_layout" / "en.toml").read_text("utf-8")
    (templates / "_layout" / "ar.toml").write_text(footer, "utf-8")

    html = mail(load(), "ar").html

    assert html.count('lang="ar" dir="rtl"') == 2


def test_a_table_row_without_a_value_is_left_out(templates: Path, load: Load) -> None:
    with_mails(templates, "en")

    content = mail(load(), "en")

    assert "Cost" not in content.text + content.html


def test_the_text_body_reads_like_a_letter(templates: Path, load: Load) -> None:
    with_mails(templates, "en")

    assert mail(load(), "en").text == (
        "h\n\none\n\ntwo\n\n"
        "go:\nhttps://app.example.com/sessions/101\n\n"
        "Voltline\nElbchaussee 1, 20354 Hamburg\nYou’re getting this because you charge with Voltline.\n"
        "Stop e-mails like this:\nhttps://x/y\n"
    )


def test_the_guide_explains_every_line_of_a_type_and_every_filter() -> None:
    guide = (TEMPLATES.parent / "docs" / "notification-types.md").read_text("utf-8")
    lines = {field.encode_name for field in msgspec.structs.fields(NotificationType)} - {"id", "data", "samples"}

    assert [name for name in sorted(lines) if f"| `{name}` |" not in guide] == []
    assert [name for name in FORMATS if f"\\| {name}" not in guide] == []
    assert [name for name in NAMES if f"`{name}`" not in guide] == []
