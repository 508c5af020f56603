import re
from contextlib import suppress
from datetime import UTC
from hashlib import sha256
from typing import Any
from xml.parsers.expat import ParserCreate

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifier.channels.email.messages import EmailContent
from notifier.channels.inbox.writing import InboxTexts
from notifier.channels.push.messages import PushContent
from notifier.channels.push.writing import PushTexts
from notifier.channels.sms.messages import SmsContent
from notifier.channels.sms.writing import SmsTexts
from notifier.domain.catalog import Catalog, Field
from notifier.domain.deliveries import Channel
from notifier.domain.errors import NotifierError, RenderError
from notifier.domain.ids import LENGTH
from notifier.domain.messages import Content, content_hash
from notifier.domain.sayable import EARLIEST, LATEST, zones
from notifier.domain.text import TEXT
from notifier.rendering import Renderer
from notifier.rendering.renderer import KEPT, TOLD
from notifier.rendering.texts import make_texts
from tests.named import EMAIL, PUSH, SMS
from tests.rendering.conftest import BRAND, TEMPLATES
from tests.samples import CATALOG

COMPLETE: dict[str, Any] = {
    "session_id": "101",
    "kind": "full",
    "station": "Gent Zuid, bay 3",
    "energy_kwh": 41.12,
    "completed_at": "2026-03-09T17:42:00Z",
    "cost": {"amount": 1234.5, "currency": "EUR"},
    "idle_fee_from": "2026-03-09T23:30:00Z",
}
OFFLINE: dict[str, Any] = {
    "site_id": "gent-zuid",
    "site": "Gent Zuid",
    "station_id": "BE*BEC*E041503003",
    "station": "Station 3",
    "since": "2026-03-09T23:30:00Z",
}


def push(renderer: Renderer, locale: str = "en", zone: str = "Europe/Berlin", **changes: Any) -> PushContent:
    rendered = renderer.render("charging-complete", PUSH, locale=locale, time_zone=zone, data={**COMPLETE, **changes})
    assert isinstance(rendered.content, PushContent)
    return rendered.content


def mail(renderer: Renderer, locale: str = "en", zone: str = "Europe/Berlin", **changes: Any) -> EmailContent:
    rendered = renderer.render("station-offline", EMAIL, locale=locale, time_zone=zone, data={**OFFLINE, **changes})
    assert isinstance(rendered.content, EmailContent)
    return rendered.content


def sms(renderer: Renderer, locale: str = "en", **changes: Any) -> str:
    rendered = renderer.render(
        "charging-complete", SMS, locale=locale, time_zone="Europe/Berlin", data={**COMPLETE, **changes}
    )
    assert isinstance(rendered.content, SmsContent)
    return rendered.content.text


@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [("de", "de"), ("de-AT", "de"), ("de-Latn-CH", "de"), ("pt-BR", "en"), ("ja", "en"), ("en-GB", "en"), ("", "en")],
)
def test_texts_fall_back_to_the_language_and_then_to_english(renderer: Renderer, wanted: str, spoken: str) -> None:
    rendered = renderer.render("charging-complete", PUSH, locale=wanted, time_zone="Europe/Vienna", data=COMPLETE)

    assert rendered.locale == spoken


@pytest.mark.parametrize(
    ("locale", "cost"),
    [
        ("de", "1.234,50\u00a0€"),
        ("de-AT", "€\u00a01.234,50"),
        ("fr", "1\u202f234,50\u00a0€"),
        ("es", "1.234,50\u00a0€"),
        ("en-US", "€1,234.50"),
        ("en-GB", "€1,234.50"),
        ("pt-BR", "€1,234.50"),  # English texts, so English numbers
    ],
)
def test_money_is_in_the_form_of_the_persons_own_locale(renderer: Renderer, locale: str, cost: str) -> None:
    assert cost in push(renderer, locale).body


def test_times_are_in_the_persons_zone_and_form(renderer: Renderer) -> None:
    assert "00:30\u00a0Uhr" in push(renderer, "de", "Europe/Berlin").body
    assert "6:30\u202fPM" in push(renderer, "en", "America/Chicago").body
    assert "18:30" in push(renderer, "en-GB", "America/Chicago").body


def test_what_happens_at_half_past_eleven_in_utc_is_the_next_day_in_berlin(renderer: Renderer) -> None:
    assert "10. März, 00:30\u00a0Uhr" in mail(renderer, "de", "Europe/Berlin").text
    assert "March 9, 6:30\u202fPM" in mail(renderer, "en", "America/Chicago").text


def test_an_hour_that_summer_time_skips_is_never_shown(renderer: Renderer) -> None:
    # Given the night of 29 March 2026, when Berlin's clocks go from 2:00 to 3:00
    before, after = "2026-03-29T00:59:00Z", "2026-03-29T01:01:00Z"

    assert "01:59" in push(renderer, "de", idle_fee_from=before).body
    assert "03:01" in push(renderer, "de", idle_fee_from=after).body


def test_a_link_leads_to_the_app_whatever_the_id_holds(renderer: Renderer) -> None:
    content = push(renderer, session_id="../admin?x=1#é @evil.example")

    assert content.link == "https://app.example.com/sessions/..%2Fadmin%3Fx%3D1%23%C3%A9%20%40evil.example"


def pictured(image: str, **changes: Any) -> PushContent:
    """A push with this image, as if somebody had written it."""
    renderer = Renderer(CATALOG, TEMPLATES, BRAND)
    push = PushTexts("t", "b", image=image, action=" Open\nsession ")
    texts = {"en": make_texts(push=push, sms=SmsTexts("{{ brand }}"), inbox=InboxTexts("t", "b"))}
    content = renderer.preview(
        "charging-complete", renderer.compile("charging-complete", texts), PUSH, locale="en", time_zone="UTC",
        data={**COMPLETE, **changes},
    ).content  # fmt: skip
    assert isinstance(content, PushContent)
    return content


def test_what_an_images_address_names_is_a_part_of_it_and_whole() -> None:
    station = "Bay 3/../é?x=1#" + "x" * 80

    image = pictured("https://i.example/{{ station }}.png?of={{ session_id }}\n", station=station).image

    assert image == f"https://i.example/Bay%203%2F..%2F%C3%A9%3Fx%3D1%23{'x' * 80}.png?of=101"


def test_an_images_address_may_depend_on_what_is_known() -> None:
    image = "{% if kind == 'limit_reached' %}https://i.example/limit.png{% endif %}"

    assert pictured(image).image is None
    assert pictured(image, kind="limit_reached").image == "https://i.example/limit.png"
    assert pictured("{{ app_url }}/a.png").image == "https://app.example.com/a.png"


def test_a_buttons_label_is_one_line() -> None:
    assert pictured("").action == "Open session"


def test_a_push_without_a_picture_or_a_button_is_proven_as_before_there_were_any() -> None:
    content = PushContent(title="t", body="b", link="l")

    assert content_hash(content) == sha256(b'{"title":"t","body":"b","link":"l"}').hexdigest()[:LENGTH]
    assert content_hash(content) != content_hash(PushContent(title="t", body="b", link="l", action="a"))


def test_jinja_in_a_value_is_text_like_any_other(renderer: Renderer) -> None:
    hostile = "{{7*7}} {% raw %} {{ ''.__class__ }}"

    assert hostile in push(renderer, station=hostile).body
    assert hostile in mail(renderer, station=hostile).text
    assert "{{7*7}} {% raw %}" in mail(renderer, station=hostile).html


def test_markup_in_a_value_stays_text_in_html(renderer: Renderer) -> None:
    content = mail(renderer, station='<a href="https://evil.example">"\'&</a>', site="<script>alert(1)</script>")

    assert "<script" not in content.html
    assert "https://evil.example&#34;" in content.html
    assert '<a href="https://evil.example">' in content.text


@pytest.mark.parametrize("gap", ["\r\n", "\n", "\r", "\t", "\u2028", "\u2029", "\x85", "\u202e", "\ud800"])
def test_a_line_break_or_control_in_a_value_can_not_begin_a_new_line(renderer: Renderer, gap: str) -> None:
    station = f"Bay 3{gap}Bcc: x@evil.example"

    assert mail(renderer, station=station).subject.startswith("Bay 3 Bcc: x@evil.example is offline")
    assert "Bay 3 Bcc" in push(renderer, station=station).body
    assert "Bay 3 Bcc" in sms(renderer, station=station)


def test_a_long_name_is_cut_on_small_screens_so_that_the_end_is_seen(renderer: Renderer) -> None:
    station = "Whisper Valley Amenity and Discovery Center, south parking structure, level 3"

    assert "and Discovery Center, south parking…" in push(renderer, station=station).body
    assert push(renderer, station=station).body.endswith("to avoid the idle fee.")
    assert "and Discovery Center, south parking...:" in sms(renderer, station=station)
    assert sms(renderer, station=station).endswith("to avoid the idle fee.")
    assert station in mail(renderer, station=station).text


def test_an_sms_keeps_the_short_alphabet_for_names_it_can_spell(renderer: Renderer) -> None:
    assert "Nimes-Ouest - Chene" in sms(renderer, station="Nîmes‑Ouest – Chêne")
    assert "München Ost" in sms(renderer, station="Mu\u0308nchen Ost")  # as some machines write ü
    assert "Σταθμός 3" in sms(renderer, station="Σταθμός 3")


def test_data_that_lacks_a_field_is_refused_with_its_name(renderer: Renderer) -> None:
    data = {name: value for name, value in COMPLETE.items() if name != "station"}

    with pytest.raises(RenderError, match=r"^charging-complete: the data doesn't fit: .*`station`"):
        renderer.render("charging-complete", PUSH, locale="en", time_zone="UTC", data=data)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "canary-5e1f"},
        {"kind": "it's 'canary-5e1f'\n'x"},
        {"energy_kwh": "canary-5e1f"},
        {"completed_at": "canary-5e1f"},
        {"cost": {"amount": 1, "currency": "canary-5e1f"}},
    ],
)
def test_a_refusal_names_the_field_and_never_the_value(renderer: Renderer, changes: dict[str, Any]) -> None:
    with pytest.raises(RenderError) as caught:
        push(renderer, **changes)

    assert next(iter(changes)) in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_zone_that_the_machine_lacks_is_refused_with_the_place_and_the_field(renderer: Renderer) -> None:
    with pytest.raises(RenderError, match=r"^charging-complete/de\.toml: push\.body: .* idle_fee_from"):
        push(renderer, "de", zone="Mars/Olympus")


def test_an_unknown_type_or_channel_is_refused(renderer: Renderer) -> None:
    with pytest.raises(RenderError, match="no-such-type"):
        renderer.render("no-such-type", PUSH, locale="en", time_zone="UTC", data={})
    with pytest.raises(RenderError, match="charging-complete has no texts for email"):
        renderer.render("charging-complete", EMAIL, locale="en", time_zone="UTC", data=COMPLETE)


def test_what_is_rendered_shows_nothing_when_printed(renderer: Renderer) -> None:
    rendered = renderer.render("charging-complete", PUSH, locale="en", time_zone="UTC", data=COMPLETE)

    assert repr([rendered, rendered.content]) == "[<Rendered>, <PushContent>]"


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.from_regex(TEXT, fullmatch=True).map(lambda text: f"a{text}"[:80]),
    "number": st.floats(-1e9, 1e9) | st.integers(-(10**6), 10**6),
    "integer": st.integers(-(10**9), 10**9),
    "money": st.fixed_dictionaries(
        {"amount": st.floats(-1e9, 1e9), "currency": st.from_regex(r"[A-Z]{3}", fullmatch=True)}
    ),
    "zone": st.sampled_from(sorted(zones())),
    "time": st.datetimes(EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(UTC)).map(
        lambda moment: moment.isoformat()
    ),
    "flag": st.booleans(),
}


def data_for(fields: dict[str, Field]) -> st.SearchStrategy[dict[str, Any]]:
    values = {
        name: st.sampled_from(field.one_of) if field.one_of else VALUES[field.type] for name, field in fields.items()
    }
    return st.fixed_dictionaries(
        {name: value for name, value in values.items() if not fields[name].optional},
        optional={name: value for name, value in values.items() if fields[name].optional},
    )


def test_a_locale_is_compiled_again_only_when_its_texts_change(renderer: Renderer) -> None:
    wording = renderer.shipped["charging-complete"]
    changed = {**wording, "de": msgspec.structs.replace(wording["de"], sms=SmsTexts("{{ brand }}: voll."))}

    before, after = (renderer.compile("charging-complete", each) for each in (wording, changed))

    assert [locale for locale in wording if after[locale] is not before[locale]] == ["de"]


def test_texts_that_nobody_asks_for_any_more_are_let_go(catalog: Catalog) -> None:
    # Given a renderer, and what it has made of a wording
    renderer = Renderer(catalog, TEMPLATES, BRAND)
    wording = renderer.shipped["charging-complete"]
    before = renderer.compile("charging-complete", wording)

    # When many others have come since
    for number in range(10):
        long = {"en": msgspec.structs.replace(wording["en"], sms=SmsTexts(f"{number} " * (KEPT // 20)))}
        renderer.compile("charging-complete", long)

    # Then it is made anew
    assert renderer.compile("charging-complete", wording)["de"] is not before["de"]


def tags(html: str) -> list[str]:
    found: list[str] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, _: found.append(name)
    parser.Parse(html.encode(), True)
    return found


def lines(content: Content) -> list[str]:
    if isinstance(content, EmailContent):
        return [content.subject]
    return [each for each in msgspec.structs.astuple(content) if isinstance(each, str)]


@settings(max_examples=300)
@given(choice=st.data())
def test_no_data_that_fits_can_break_a_message_or_bring_markup(
    renderer: Renderer, catalog: Catalog, choice: st.DataObject
) -> None:
    # Given any data that fits any type's schema
    kind = choice.draw(st.sampled_from(sorted(catalog.types.values(), key=lambda kind: kind.id)))
    data = choice.draw(data_for(kind.data))
    plain = {
        name: "a" if kind.data[name].type == "text" and not kind.data[name].one_of else data[name] for name in data
    }
    locale = choice.draw(st.sampled_from(["en", "de-AT", "fr-CA", "es", "ar"]))

    for channel in kind.channels:
        # When it is rendered
        content = renderer.render(kind.id, channel, locale=locale, time_zone="Asia/Kolkata", data=data).content

        # Then each line is one line, and HTML has the elements that it has with plain values
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", "".join(lines(content)))
        if isinstance(content, EmailContent):
            same = renderer.render(kind.id, channel, locale=locale, time_zone="Asia/Kolkata", data=plain).content
            assert isinstance(same, EmailContent)
            assert tags(content.html) == tags(same.html)


@given(
    value=st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**63), 2**63 - 1),
    name=st.sampled_from(["energy_kwh", "cost"]),
)
def test_a_number_beyond_all_measure_is_shown_or_refused(renderer: Renderer, value: float, name: str) -> None:
    changes: dict[str, Any] = {name: value if name == "energy_kwh" else {"amount": value, "currency": "EUR"}}

    with suppress(NotifierError):
        assert push(renderer, "de", **changes).body


def test_each_message_of_an_event_says_its_own_events_values_however_many_were_told_of(renderer: Renderer) -> None:
    def told(number: int, channel: Channel) -> Content:
        data = {**COMPLETE, "session_id": str(number), "station": f"Station {number:05}"}
        return renderer.render(
            "charging-complete", channel, locale="en", time_zone="UTC", data=data, event_id=f"event-{number}"
        ).content

    # Given more events than are kept, each with a station of its own
    numbers = [*range(TOLD + 2), 0]

    # When each goes out by two channels, one after the other, and the first of them once more at the end
    pairs = [(number, told(number, PUSH), told(number, SMS)) for number in numbers]

    # Then every message names its own station, and every push leads to its own session
    for number, in_push, in_text in pairs:
        assert isinstance(in_push, PushContent)
        assert isinstance(in_text, SmsContent)
        assert f"Station {number:05}" in in_push.body
        assert f"Station {number:05}" in in_text.text
        assert (in_push.link or "").endswith(f"/{number}")


def test_an_events_id_that_comes_again_with_other_data_says_these(renderer: Renderer) -> None:
    # Given an event that was told of, then erased, and reported anew
    def told(station: str) -> Content:
        data = {**COMPLETE, "station": station}
        return renderer.render(
            "charging-complete", SMS, locale="en", time_zone="UTC", data=data, event_id="event-1"
        ).content

    told("Gent Zuid")

    # Then its message says what it says now
    content = told("Antwerpen Noord")
    assert isinstance(content, SmsContent)
    assert "Antwerpen Noord" in content.text
