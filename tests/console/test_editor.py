"""Types, the editor and languages: what is kept, and what is refused."""

import asyncio
import html
import re
from pathlib import Path

import pytest
from starlette.datastructures import FormData

from notifier.channels.email.writing import EmailTexts
from notifier.channels.push.writing import PushTexts
from notifier.channels.sms.writing import SmsTexts
from notifier.console import wording
from notifier.console.app import close_console, open_console
from notifier.console.live import Streams
from notifier.rendering.writing import writing
from notifier.runtime.settings import Settings
from notifier.store.console import contacts, versions
from notifier.store.console.contacts import Contact
from notifier.texts import gate, publishing
from tests.api.conftest import on_sqlite
from tests.api.server import Answer
from tests.console.conftest import Enter, signed_in
from tests.console.words import EDIT, NUMBER, SHORT, TYPE, hidden, says, told, write
from tests.named import EMAIL
from tests.samples import CATALOG, NOW, RENDERER

# ── Types


@on_sqlite
async def test_the_process_that_tries_texts_comes_and_goes_with_the_console(desk: Enter) -> None:
    context = open_console(desk().engine, Settings(), Streams(), warm=True)
    while "notifier.rendering.child" not in children():  # noqa: ASYNC110 (the kernel starts it when it likes)
        await asyncio.sleep(0)

    await close_console(context)

    assert "notifier.rendering.child" not in children()


def children() -> str:
    """How the processes that this one has started were called."""
    pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return " ".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)


async def test_types_are_found_by_what_they_are_and_say_who_drafts(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    await write(visitor, SHORT)

    everything_ = says(await visitor.get("/types"))
    found = (await visitor.get("/types?q=Billing")).body

    assert all(kind.name in everything_ for kind in CATALOG.types.values())
    assert everything_.count(" draft ") == 1
    assert re.findall(r'href="/console/types/([\w-]+)/edit', found) == ["payment-failed"]
    assert "No matches" in (await visitor.get("/types?q=nothing")).body


# ── The editor


@pytest.mark.parametrize("type_", CATALOG.types)
def test_a_form_gives_back_the_texts_that_it_was_made_of(type_: str) -> None:
    for texts in RENDERER.shipped[type_].values():
        for channel in CATALOG.types[type_].channels:
            made = wording.written(texts, channel)
            fields = [(box.part, getattr(made.table, box.part)) for box in writing(channel).boxes]
            rows = [pair for label, value in [*made.rows, ("", "")] for pair in (("label", label), ("value", value))]

            assert wording.read(FormData([*fields, *rows]), channel).table == texts.table(channel)


async def test_a_save_begins_a_draft_and_sends_nothing(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")

    answer = await write(visitor, SHORT)

    assert answer.status == 303
    page = says(await visitor.get(answer.headers["Location"].removeprefix("/console")))
    assert "Draft saved" in page
    assert "Draft of author" in page
    draft = await versions.draft(visitor.engine.database, TYPE)
    assert draft is not None
    sms = publishing.decode(draft.wording)["de"].table("sms")
    assert isinstance(sms, SmsTexts)
    assert (sms.text, draft.revision, draft.actor) == (SHORT, 1, "console:author")
    assert visitor.engine.renderer.live(TYPE) == 0
    assert await told(visitor, "text.draft") == [("console:author", "text.draft", TYPE, "revision 1")]


@on_sqlite
async def test_what_is_as_it_was_is_no_draft(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    live = RENDERER.shipped[TYPE]["de"].table("sms")
    assert isinstance(live, SmsTexts)

    assert (await write(visitor, live.text)).status == 303

    assert await versions.draft(visitor.engine.database, TYPE) is None


async def test_of_two_who_write_the_second_keeps_their_words_and_sees_the_firsts(desk: Enter) -> None:
    # Given two who have the same text open
    mia, tom = await signed_in(desk, "author"), await signed_in(desk, "publisher")
    mine, theirs = hidden((await mia.get(EDIT)).body), hidden((await tom.get(EDIT)).body)

    # When both save
    assert (await mia.post(f"/types/{TYPE}/edit", **mine, text=SHORT)).status == 303
    answer = await tom.post(f"/types/{TYPE}/edit", **theirs, text="{{ brand }}: andere Worte")

    # Then the second is told, with both texts before them
    assert answer.status == 409
    assert "somebody else has changed the draft" in says(answer)
    assert "andere Worte</textarea>" in answer.body
    assert f"The draft now says: {SHORT}" in says(answer)

    # And may decide
    again = hidden(answer.body)
    assert (await tom.post(f"/types/{TYPE}/edit", **again, text="{{ brand }}: andere Worte")).status == 303
    draft = await versions.draft(mia.engine.database, TYPE)
    assert draft is not None
    assert draft.revision == 2


@pytest.mark.parametrize("before", ["saved", "refused", "previewed"])
@on_sqlite
async def test_a_form_that_somebody_overtook_writes_only_what_was_changed_in_it(desk: Enter, before: str) -> None:
    # Given two who have the same push open, of whom one changes its title, and saves
    where = f"/types/{TYPE}/edit?locale=de&channel=push"
    mia, tom = await signed_in(desk, "author"), await signed_in(desk, "publisher")
    stood = RENDERER.shipped[TYPE]["de"].table("push")
    assert isinstance(stood, PushTexts)
    parts = {"title": stood.title, "body": stood.body, "action": stood.action, "image": stood.image}
    mine, theirs = hidden((await mia.get(where)).body), hidden((await tom.get(where)).body)
    assert (await mia.post(f"/types/{TYPE}/edit", **mine, **{**parts, "title": "Mias Titel"})).status == 303

    # When the other changes the body, also where their form came back to them before, saves, is told and saves again
    if before == "refused":
        page = await tom.post(f"/types/{TYPE}/edit", **theirs, **{**parts, "body": "{{ nothing }}"})
        assert page.status == 422
        theirs = hidden(page.body)
    elif before == "previewed":
        theirs = hidden((await tom.post(f"/types/{TYPE}/preview", **theirs, **{**parts, "body": "Toms Text"})).body)
    answer = await tom.post(f"/types/{TYPE}/edit", **theirs, **{**parts, "body": "Toms Text"})
    assert answer.status == 409
    assert "The draft now says" not in says(answer)  # no part was changed by both
    shown = {name: re.search(rf'name="{name}"[^>]*>\n([^<]*)<', answer.body) for name in parts}
    again = {name: html.unescape(match[1]) for name, match in shown.items() if match}
    assert (await tom.post(f"/types/{TYPE}/edit", **hidden(answer.body), **again)).status == 303

    # Then the draft has what each of them wrote
    draft = await versions.draft(mia.engine.database, TYPE)
    assert draft is not None
    push = publishing.decode(draft.wording)["de"].table("push")
    assert push == PushTexts(**{**parts, "title": "Mias Titel", "body": "Toms Text"})


def test_two_forms_are_merged_row_by_row() -> None:
    def mail(**rows: str) -> EmailTexts:
        return EmailTexts(subject="s", preheader="p", heading="h", body="b", action="a", details=rows)

    shown = wording.marks(mail(one="1", two="2", three="3", four="4"))

    # When one form has changed a row, taken one away and made one, and the draft has changed a third and one of both's
    mine, theirs = mail(one="mine", two="2", four="my four", new="n"), mail(one="1", two="theirs", three="3", four="4!")
    table, both = wording.merged(mine, theirs, shown, EMAIL)

    # Then each has its own, and what both have changed is told
    assert table == mail(one="mine", two="theirs", four="my four", new="n")
    assert both == {"details.four": "4!"}


@on_sqlite
async def test_a_push_gets_a_button_and_a_picture(desk: Enter) -> None:
    # Given an author at a push
    visitor = await signed_in(desk, "author")
    where = f"/types/{TYPE}/edit?locale=de&channel=push"
    fields = {"title": "Fertig", "body": "{{ station }}", "action": "Öffnen"}

    # When they write a button, and a picture whose address is none; then one that is
    wrong = await write(visitor, "", "preview", where, **fields, image="http://i.example/a.png", part="preview")
    saved = await write(visitor, "", where=where, **fields, image="https://i.example/{{ station }}.png")

    # Then the preview says what is wrong, the draft has both, and its page shows them
    assert "does not begin with https://" in says(wrong)
    assert saved.status == 303
    kept = publishing.decode((await gate.draft(visitor.engine, TYPE)).wording)["de"].table("push")
    assert kept == PushTexts("Fertig", "{{ station }}", "https://i.example/{{ station }}.png", "Öffnen")
    page = (await visitor.get(where)).body
    assert '<p class="action">Öffnen</p>' in page
    assert "https://i.example/Gent%20Zuid" in page


@pytest.mark.parametrize("harm", ["{{ station.__class__ }}", "{% for x in 'a' * 99 %}{% endfor %}", "{{ 9**9**9 }}"])
@on_sqlite
async def test_a_text_that_means_harm_is_neither_shown_nor_kept_nor_sent_and_the_next_is(
    desk: Enter, harm: str
) -> None:
    visitor = await signed_in(desk, "author")
    contact = Contact(name="author", phone=NUMBER)
    await contacts.put(visitor.engine.database, contact, "cli:test", NOW)

    preview = await write(visitor, harm, "preview", part="preview")
    saved = await write(visitor, harm)
    tried = await write(visitor, harm, "test", contact="author")

    assert (preview.status, saved.status, tried.status) == (200, 422, 422)
    assert "No message can be rendered" in says(preview)
    assert "docs/notification-types.md" in says(saved)
    assert "Not saved" in says(tried)
    assert await versions.draft(visitor.engine.database, TYPE) is None
    assert await told(visitor, "text.test") == []
    assert "1 SMS · $0.075" in says(await write(visitor, SHORT, "preview", part="preview"))


@on_sqlite
async def test_a_preview_is_for_a_reader_and_says_where_there_is_none_like_that(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")

    text = "{{ brand }} {{ completed_at | time }}"
    ours = says(await write(visitor, text, "preview", reader="de-AT", zone="America/Chicago"))
    none = says(await write(visitor, text, "preview", reader="fr", zone="Mars/Base"))

    assert "Voltline 12:42" in ours
    assert "Readers of fr get the texts in fr." in none
    assert "This time zone is unknown" in none


@on_sqlite
async def test_rows_of_a_mails_table_need_labels_of_their_own(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    where = "/types/session-receipt/edit?locale=de&channel=email"
    fields = {**hidden((await visitor.get(where)).body), "subject": "s", "preheader": "p", "label": "", "value": "v"}

    answer = await visitor.post("/types/session-receipt/edit", **fields)

    assert answer.status == 422
    assert "Each row needs a label of its own." in answer.body
    assert 'value="v"' in answer.body
    assert "is empty: a mail without its own design needs it" in says(answer)


def test_the_rows_of_a_form_become_a_table() -> None:
    form = FormData([("subject", "s"), ("label", "A"), ("value", "1"), ("label", " "), ("value", ""), ("label", "A")])
    again = FormData([*form.multi_items(), ("value", "2")])

    read = wording.read(form, EMAIL)

    assert isinstance(read.table, EmailTexts)
    assert (read.table.details, read.fault) == ({"A": "1"}, "")
    assert wording.read(again, EMAIL).fault


@on_sqlite
async def test_a_viewer_reads_and_is_offered_nothing_else(desk: Enter) -> None:
    visitor = await signed_in(desk, "viewer")

    page = (await visitor.get(EDIT)).body

    assert "readonly" in page
    assert "Save draft" not in page
    assert "1 SMS" in says(await visitor.get(f"{EDIT}&reader=de-AT"))


@pytest.mark.parametrize("where", ["locale=it", "channel=email", "channel=fax", "locale=%00"])
@on_sqlite
async def test_texts_that_there_are_none_of_are_not_found(desk: Enter, where: str) -> None:
    visitor = await signed_in(desk, "viewer")

    assert (await visitor.get(f"/types/{TYPE}/edit?{where}")).status in (400, 404)


# ── Languages


@on_sqlite
async def test_a_language_begins_with_anothers_words_and_goes_again(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    fields = hidden((await visitor.get(EDIT)).body)

    added = await visitor.post(f"/types/{TYPE}/locales", **fields, new="it")
    page = await visitor.get(added.headers["Location"].removeprefix("/console"))
    draft = await versions.draft(visitor.engine.database, TYPE)
    assert draft is not None
    texts = publishing.decode(draft.wording)
    removed = await visitor.post(f"/types/{TYPE}/locales/remove", **hidden(page.body))

    assert "Italian" in says(page)
    assert texts["it"] == texts["de"]
    assert removed.status == 303
    draft = await versions.draft(visitor.engine.database, TYPE)
    assert draft is not None
    assert "it" not in publishing.decode(draft.wording)


@pytest.mark.parametrize(("new", "way"), [("ar", "rtl"), ("he", "rtl"), ("ur-PK", "rtl"), ("it", "ltr")])
@on_sqlite
async def test_words_are_drawn_the_way_their_language_is_written_even_where_they_begin_with_a_latin_name(
    desk: Enter, new: str, way: str
) -> None:
    visitor = await signed_in(desk, "author")
    added = await visitor.post(f"/types/{TYPE}/locales", **hidden((await visitor.get(EDIT)).body), new=new)
    assert added.status == 303

    for channel, drawn in (("sms", "bubble"), ("push", "card-push")):
        page = (await visitor.get(f"/types/{TYPE}/edit?locale={new}&channel={channel}")).body
        assert f'class="{drawn}" lang="{new}" dir="{way}"' in page
        assert re.search(rf'<textarea [^>]*lang="{new}" dir="{way}"', page)


@pytest.mark.parametrize(
    ("type_", "channel", "new", "why"),
    [
        (TYPE, "sms", "de", "The type already has texts in de."),
        (TYPE, "sms", "../x", "language is unknown"),
        (TYPE, "sms", "qq", "language is unknown"),
        ("session-receipt", "email", "it", "mails have no footer in it yet"),
    ],
)
@on_sqlite
async def test_a_language_that_cannot_be_spoken_is_refused(
    desk: Enter, type_: str, channel: str, new: str, why: str
) -> None:
    visitor = await signed_in(desk, "author")
    fields = hidden((await visitor.get(f"/types/{type_}/edit?locale=de&channel={channel}")).body)

    answer = await visitor.post(f"/types/{type_}/locales", **fields, new=new)

    assert answer.status == 422
    assert why in says(answer)
    assert await versions.draft(visitor.engine.database, type_) is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ completed_at }}", "completed_at is time: write it with a filter (time, date, date_time)"),
        (
            "{{ completed_at | time(5) }}",
            "time: what stands in its brackets doesn't fit; there may be form (text), one",
        ),
        ("{{ completed_at | time(zone='x') }}", "time: what stands in its brackets doesn't fit"),
        ("{{ completed_at | time('#', '#') }}", "time: what stands in its brackets doesn't fit"),
        ("{{ completed_at | money }}", "money doesn't take time"),
        ("{{ completed_at | }}", "can't be read: a bracket, a name or a sign is missing"),
        ("{{ completed_at.hour }}", "a dot behind a field can't be used in texts"),
        ("{% if completed_at %}x", "a condition has no end"),
        ("{{ energy_kwh | number('a') }}", "number: what stands in its brackets doesn't fit"),
        ("{{ energy_kwh | plural(one='#') }}", "plural: what stands in its brackets doesn't fit"),
    ],
)
@on_sqlite
async def test_a_faulty_field_is_told_in_plain_words_beside_its_text(desk: Enter, source: str, why: str) -> None:
    # Given a text that names a field in a way that can't be used
    visitor = await signed_in(desk, "author")

    # When it is saved
    answer = await write(visitor, source)

    # Then the page says so beside the field, in words of its writer: nothing of files, of Python or of a parser
    assert answer.status == 422
    beside = re.search(r'data-findings="text">(.*?)</div>', answer.body, re.DOTALL)
    assert beside
    said = says(Answer(answer.status, answer.headers, beside[1]))
    assert why in said
    assert not re.search(r"toml|'(str|int)'|argument|Getattr|token|Jinja|memory", said)


@on_sqlite
async def test_the_language_of_whoever_speaks_no_other_stays(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    fields = hidden((await visitor.get(EDIT.replace("=de", "=en"))).body)

    assert (await visitor.post(f"/types/{TYPE}/locales/remove", **fields)).status == 400
