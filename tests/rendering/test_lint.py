"""What is wrong with texts is told with its place, and what a change means for people before it is made."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.email.markup import text_of
from notifier.channels.email.markup_faults import faults_of
from notifier.channels.email.writing import EmailTexts
from notifier.channels.push.writing import PushTexts
from notifier.channels.sms.writing import SmsTexts
from notifier.domain.catalog import NotificationType
from notifier.rendering.changes import Changes, compare
from notifier.rendering.confined import Confined
from notifier.rendering.files import to_toml, write_wording
from notifier.rendering.findings import LEVELS, LintFinding
from notifier.rendering.lint import lint
from notifier.rendering.texts import Texts, make_texts, read_wording
from notifier.runtime.settings import Settings
from notifier.texts import gate
from tests.samples import CATALOG, RENDERER

TEXT, MAIL = CATALOG.types["charging-complete"], CATALOG.types["session-receipt"]
LOCALES = ["de", "en", "es", "fr"]
SECTION = "<mj-section><mj-column>{}</mj-column></mj-section>"


@pytest.fixture
async def confined() -> AsyncIterator[Confined]:
    child = Confined(Settings())
    yield child
    await child.close()


def said(kind: NotificationType, locale: str = "en", **tables: Any) -> dict[str, Texts]:
    """What ships, with these tables in one locale."""
    shipped = dict(RENDERER.shipped[kind.id])
    return {**shipped, locale: msgspec.structs.replace(shipped[locale], **tables)}


async def findings(confined: Confined, kind: NotificationType, wording: Mapping[str, Texts]) -> list[LintFinding]:
    samples = {sample.name: sample.data for sample in kind.samples}
    answer, seen = await gate.trial(confined, kind, wording, samples, unlike={})
    return lint(kind, wording, answer, seen, LOCALES)


async def changes(confined: Confined, kind: NotificationType, wording: Mapping[str, Texts]) -> Changes:
    samples = {sample.name: sample.data for sample in kind.samples}
    before = RENDERER.shipped[kind.id]
    _, was = await gate.trial(confined, kind, before, samples, unlike=wording)
    _, will = await gate.trial(confined, kind, wording, samples, unlike={})
    return compare(kind, before, wording, was, will)


@pytest.mark.parametrize("kind", CATALOG.types.values(), ids=CATALOG.types)
async def test_what_ships_has_no_error_and_no_warning(confined: Confined, kind: NotificationType) -> None:
    found = await findings(confined, kind, RENDERER.shipped[kind.id])

    assert [each for each in found if each.level != "hint"] == []


TEXTS = [
    ({"sms": SmsTexts("{{ brand }}: {{ nobody }}")}, ("error", "language", "sms", "text")),
    ({"sms": SmsTexts("{{ brand }} " + "many words " * 60)}, ("error", "segments", "sms", "")),
    ({"sms": SmsTexts("{{ brand }} " + "many words " * 20)}, ("warning", "segments", "sms", "")),
    ({"sms": SmsTexts("{{ brand }}: {{ station }} 🎉")}, ("warning", "ucs2", "sms", "")),
    ({"sms": SmsTexts("{% if kind == 'full' %}full{% endif %}")}, ("error", "empty", "sms", "text")),
    ({"sms": SmsTexts("{{ brand }}: full. Get a discount now")}, ("warning", "promotional", "sms", "text")),
    ({"sms": SmsTexts("{{ brand }}: full.")}, ("warning", "uneven", "sms", "")),
    ({"push": PushTexts("word " * 20, "b")}, ("warning", "cut_off", "push", "title")),
    ({"push": PushTexts("t", "long " * 100)}, ("warning", "cut_off", "push", "body")),
    ({"push": PushTexts("t", "long " * 1000)}, ("error", "payload", "push", "")),
    ({"push": PushTexts("t", "b", image="https://i.example/" + "a" * 1600)}, ("error", "payload", "push", "")),
    ({"push": PushTexts("t", "b", image="http://i.example/a.png")}, ("error", "link", "push", "image")),
    ({"push": PushTexts("t", "b", image="{{ station }}")}, ("error", "link", "push", "image")),
    ({"push": PushTexts("t", "b", image="https://i.example/a b.png")}, ("error", "link", "push", "image")),
    ({"push": PushTexts("t", "b", image="{{ energy_kwh | energy }}")}, ("error", "language", "push", "image")),
    ({"push": PushTexts("t", "b", image="https://i.example/a.png")}, ("warning", "left_out", "push", "image")),
    ({"push": PushTexts("t", "b", action="{{ nobody }}")}, ("error", "language", "push", "action")),
    ({"push": PushTexts("t", "b", action="Show me all of the session")}, ("warning", "cut_off", "push", "action")),
    ({"push": PushTexts("t", "b", action="Open session")}, ("warning", "left_out", "push", "action")),
]
MAILS = [
    (SECTION.format('<mj-image src="https://x.example/a.png" />'), ("error", "image_alt")),
    (SECTION.format('<mj-button href="http://x.example">Go</mj-button>'), ("error", "link")),
    (SECTION.format('<mj-button href="javascript:alert(1)">Go</mj-button>'), ("error", "link")),
    (SECTION.format("<mj-raw><script>x</script></mj-raw>"), ("error", "foreign")),
    (SECTION.format('<mj-text><p onclick="x()">a</p></mj-text>'), ("error", "foreign")),
]

A = "<mj-text><a {}>a</a></mj-text>"
P = "<mj-text><p {}>a</p></mj-text>"
RAW = "<mj-raw>{}</mj-raw>"
CSS = "<mj-style>{}</mj-style>"
UNSAFE = [
    *(
        (A.format(f"href={address}"), "link")
        for address in (
            "'javascript:alert(1)'", "javascript:alert(1)", "'JavaScript:alert(1)'", "' javascript:alert(1)'",
            "'java\tscript:alert(1)'", "'java&#10;script:alert(1)'", "'&#106;avascript:alert(1)'",
            "'javascript&colon;x'",
            "'vbscript:x'", "'data:text/html,x'", "'http://x.example'", "'//x.example'", "'/path'", "'x.example'",
            "'ftp://x.example'", "'file:///etc'", "'https:///x'",
            "\"{% if address %}https://x.example{% else %}javascript:x{% endif %}\"",
            "\"java{% if address %}script:x{% endif %}\"",
        )
    ),
    *(
        (A.format(f"href='{address}'"), "field_in_markup")
        for address in ("{{ station }}", "https://x.example/{{ station }}", "{{ link }}{{ station }}", "x{{ link }}")
    ),
    *(
        (P.format(attribute), "foreign")
        for attribute in (
            "ONCLICK='x()'", "onmouseover=x", "formaction='https://x.example'", "srcset='http://x.example/a.png 2x'",
            "ping='https://x.example'", "{% if address %}onclick='x'{% endif %}", "/onclick=x", "on{{ station }}='x'",
            "action='https://x.example'", "xlink:href='javascript:x'",
        )
    ),
    *(
        (RAW.format(element), "foreign")
        for element in (
            "<meta http-equiv='refresh' content='0;url=https://x.example'>", "<base href='https://x.example/'>",
            "<form action='https://x.example'><input name='a'></form>", "<iframe src='https://x.example'></iframe>",
            "<SCRIPT src='https://x.example'></SCRIPT>", "<object data='https://x.example'></object>", "<svg></svg>",
            "<embed src='https://x.example'>", "<link rel='stylesheet' href='https://x.example'>", "<video></video>",
            "<!--[if mso]><script>x</script><![endif]-->", "<![CDATA[<script>x</script>]]>", "<button>a</button>",
            "<mj-include path='/etc/passwd' />", "<scr{% if address %}ipt>x</script>{% endif %}",
        )
    ),
    *(
        (P.format(f'style="{style}"'), "link")
        for style in (
            "background: url(http://x.example/a.png)", "background: url('http://x.example/a.png')",
            "background: u\\72l(http://x.example)", "background: URL( //x.example )",
            "background: url(data:image/png,x)",
            "background: url(&quot;http://x.example&quot;)",
        )
    ),
    (CSS.format("p { background: url(http://x.example/a.png) }"), "link"),
    (CSS.format("@import 'https://x.example/a.css';"), "foreign"),
    (CSS.format("@im/* */port 'x';@\\69mport 'x';"), "foreign"),
    (CSS.format("p { width: expression(alert(1)) }"), "foreign"),
    (CSS.format("p { color: {{ station }} }"), "field_in_markup"),
    (P.format("style='color: {{ station }}'"), "field_in_markup"),
    ("<mj-text color='{{ station }}'>a</mj-text>", "field_in_markup"),
    ("<mj-divider border-color=\"#{{ station }}\" />", "field_in_markup"),
    ("<mj-text background-url='http://x.example/a.png'>a</mj-text>", "link"),
    ("<mj-image src='{{ station }}' alt='' />", "field_in_markup"),
    ("<mj-image src='https://x.example/a.png' />", "image_alt"),
    ("<mj-image src='https://x.example/a.png' alt='  ' />", "image_alt"),
]  # fmt: skip
SAFE = [
    A.format("href='https://x.example/a?b=c#d' title='{{ station }}'"),
    A.format("href='{{ link }}'"),
    A.format("href='mailto:help@x.example' style='color: #0a6b46'"),
    A.format('href="{% if address %}https://x.example/a{% else %}https://x.example/b{% endif %}"'),
    P.format("{% if address %}class='soft'{% endif %}"),
    P.format("style='background: url(https://x.example/a.png)'"),
    "<mj-image src='https://x.example/a.png' alt='{{ station }}' />",
    "<mj-image src='https://x.example/a.png' alt='' />",
    CSS.format("p > b { color: red } /* http: */"),
    "<mj-text>{{ station }} <b>{% if address %}{{ address }}{% endif %}</b> &lt;script&gt; http://x.example</mj-text>",
]


@pytest.mark.parametrize(("markup", "code"), UNSAFE)
def test_markup_that_could_do_harm_is_told_with_its_line(markup: str, code: str) -> None:
    # Given a design with it in its third line
    found = faults_of(f"<mj-section>\n<mj-column>\n{markup}\n</mj-column></mj-section>")

    # Then that is what is wrong, and where
    assert (code, 3) in {(fault.code, fault.line) for fault in found}


@pytest.mark.parametrize("markup", SAFE)
def test_markup_that_can_do_no_harm_is_taken(markup: str) -> None:
    assert faults_of(f"<mj-section><mj-column>{markup}</mj-column></mj-section>") == []


@given(st.text(st.sampled_from("<>/=\"'!-[]{}% aimghrefonxjst:;&#\n\\"), max_size=80))
def test_no_markup_breaks_the_reading_of_it(markup: str) -> None:
    for fault in faults_of(markup):
        assert 1 <= fault.line <= markup.count("\n") + 1


async def test_each_fault_of_a_design_names_its_file_part_and_line(confined: Confined) -> None:
    sections = SECTION.format(
        "\n<mj-text><a href='http://x.example'>a</a></mj-text>\n<mj-text color='{{ station }}'>a</mj-text>"
    )
    wording = said(MAIL, "de", email=EmailTexts("s", "p", mjml=sections))

    told = [f"{each.place}, {each.words}" for each in await findings(confined, MAIL, wording) if each.part == "mjml"]

    assert [each[: each.index(":", each.index("line"))] for each in told] == [
        "de.toml: email.mjml, line 2",
        "de.toml: email.mjml, line 3",
    ]


@pytest.mark.parametrize(("tables", "expected"), TEXTS, ids=[expected[1] for _, expected in TEXTS])
async def test_what_is_wrong_is_told_with_its_place(
    confined: Confined, tables: dict[str, Any], expected: tuple[str, str, str, str]
) -> None:
    found = await findings(confined, TEXT, said(TEXT, **tables))

    level, code, channel, part = expected
    assert (level, code, channel, part) in {(each.level, each.code, each.channel, each.part) for each in found}
    assert [each.level for each in found] == sorted((each.level for each in found), key=LEVELS.index)


async def test_a_picture_and_a_button_in_every_language_are_all_right(confined: Confined) -> None:
    push = PushTexts("{{ station }}", "b", "https://offer.example/{{ session_id }}.png", "OK")
    wording = {locale: msgspec.structs.replace(texts, push=push) for locale, texts in RENDERER.shipped[TEXT.id].items()}

    assert [each for each in await findings(confined, TEXT, wording) if each.level != "hint"] == []
    one = {**wording, "de": msgspec.structs.replace(wording["de"], push=PushTexts("{{ station }}", "b", action="OK"))}
    assert {each.code for each in await findings(confined, TEXT, one) if each.level != "hint"} == {"left_out"}
    shown = (await changes(confined, TEXT, wording)).changed[0].examples[0].after
    assert shown.endswith("[OK]\nhttps://offer.example/101.png")


@pytest.mark.parametrize(("sections", "expected"), MAILS)
async def test_a_design_that_would_not_do_is_refused(
    confined: Confined, sections: str, expected: tuple[str, str]
) -> None:
    wording = said(MAIL, email=EmailTexts("s", "p", mjml=sections))

    assert expected in {(each.level, each.code) for each in await findings(confined, MAIL, wording)}


async def test_a_language_that_is_missing_is_doubtful(confined: Confined) -> None:
    wording = {locale: texts for locale, texts in RENDERER.shipped[TEXT.id].items() if locale != "fr"}

    found = await findings(confined, TEXT, wording)

    assert [(each.level, each.locale) for each in found if each.code == "missing_locale"] == [("warning", "fr")]


async def test_a_text_is_measured_with_the_address_that_counts_clicks(confined: Confined) -> None:
    # Given a text of one SMS with its link
    wording = said(TEXT, sms=SmsTexts("{{ brand }}: {{ station }} is full. {{ link }}"))
    assert "segments" not in [each.code for each in await findings(confined, TEXT, wording)]

    # When its type counts clicks, then it takes more
    counting = msgspec.structs.replace(TEXT, clicks=True)
    assert ("segments", "en", "sms") in [
        (each.code, each.locale, each.channel) for each in await findings(confined, counting, wording)
    ]


async def test_what_a_change_means_is_told_by_channel_and_language(confined: Confined) -> None:
    wording = said(TEXT, "de", sms=SmsTexts("{{ brand }}: " + "voll " * 40))

    (change,) = (await changes(confined, TEXT, wording)).changed

    assert (change.locale, change.channel, change.most) == ("de", "sms", (1, 2))
    assert "station" in change.lost
    assert change.gained == []
    assert "voll voll" in change.examples[0].after


async def test_no_change_is_told_as_none(confined: Confined) -> None:
    assert (await changes(confined, TEXT, RENDERER.shipped[TEXT.id])).changed == []


async def test_a_design_is_a_mail_with_all_that_mails_have(confined: Confined) -> None:
    body = "<mj-text>{{ station }}{% if tax %}: {{ tax | money }}{% endif %}</mj-text>"
    body += '<mj-button href="{{ link }}">See</mj-button>'
    wording = said(MAIL, email=EmailTexts("{{ station }}", "p", mjml=SECTION.format(body)))
    scripts = RENDERER.compile(MAIL.id, wording)

    mail = RENDERER.preview(
        MAIL.id, scripts, MAIL.channels[1], locale="en", time_zone="UTC", data=MAIL.samples[0].data,
        unsubscribe_url="https://n.example/u/x",
    ).content  # fmt: skip

    told = msgspec.structs.asdict(mail)
    assert "{{" not in told["html"] + told["text"]
    assert "Gent Zuid, bay 3: €3.63" in told["text"]
    assert all("https://n.example/u/x" in told[part] for part in ("html", "text"))
    assert "fonts.googleapis" not in told["html"]
    assert [each for each in await findings(confined, MAIL, wording) if each.level == "error"] == []


def test_the_words_of_a_design_keep_their_order_and_their_conditions() -> None:
    sections = SECTION.format(
        "{% if cost %}<mj-text><p>It cost {{ cost | money }}</p></mj-text>{% endif %}"
        '<mj-image src="https://x.example/a.png" alt="A car" /><mj-button href="{{ link }}">Go</mj-button>'
    )

    assert text_of(sections).split("\n") == [
        "{% if cost %}It cost {{ cost | money }}", "", "{% endif %}A car", "Go: {{ link }}",
    ]  # fmt: skip


SOURCES = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(SOURCES, SOURCES, st.dictionaries(SOURCES.filter(bool), SOURCES, max_size=3))
def test_a_file_that_is_written_is_read_as_it_was(
    tmp_path_factory: Any, one: str, other: str, rows: dict[str, str]
) -> None:
    texts = make_texts(push=PushTexts(one, other), email=EmailTexts(one, other, body=one, details=rows))
    folder = tmp_path_factory.mktemp("texts")

    write_wording(folder, {"en": texts})

    assert read_wording(folder, TEXT) == {"en": texts}


@pytest.mark.parametrize("type_", CATALOG.types)
def test_what_ships_is_written_as_files_that_say_the_same(tmp_path_factory: Any, type_: str) -> None:
    folder = tmp_path_factory.mktemp("texts")

    write_wording(folder, RENDERER.shipped[type_])

    assert read_wording(folder, CATALOG.types[type_]) == RENDERER.shipped[type_]
    assert to_toml(RENDERER.shipped[type_]["en"]).startswith("[")
