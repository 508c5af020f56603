"""Publishing: what is let out, for which reason, and how it comes back."""

import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from notifier.channels.sms.writing import SmsTexts
from notifier.console.publish import runs
from notifier.store.console import versions
from notifier.texts import gate, publishing
from tests.api.conftest import on_sqlite
from tests.console.conftest import Enter, signed_in
from tests.console.words import SHORT, TYPE, says, told, write
from tests.samples import NOW


def publishing_form(page: str) -> dict[str, str]:
    form = page.partition('/publish">')[2]
    names = ("revision", "live")
    return {name: re.search(rf'name="{name}" value="(\d+)"', form)[1] for name in names}  # type: ignore[index]


async def test_a_warning_asks_for_a_reason_and_the_version_keeps_who_and_why(desk: Enter) -> None:
    # Given a draft that says less than other languages do
    visitor = await signed_in(desk, "publisher")
    await write(visitor, SHORT)
    page = await visitor.get(f"/types/{TYPE}/publish")
    assert "Warning" in says(page)
    assert "at most 1 → 1 SMS , $0.075 → $0.075" in says(page)

    # When it is published without one, then it isn't; with one, it is, and sent with from now on
    form = publishing_form(page.body)
    refused = await visitor.post(f"/types/{TYPE}/publish", **form, why=" ")
    assert (refused.status, "give a reason" in says(refused)) == (422, True)
    assert (await visitor.post(f"/types/{TYPE}/publish", **form, why="shorter")).status == 303
    assert visitor.engine.renderer.live(TYPE) == 1
    assert await told(visitor, "text.publish") == [("console:publisher", "text.publish", TYPE, "version 1, console")]
    assert "shorter" in says(await visitor.get(f"/types/{TYPE}/versions"))
    assert await versions.draft(visitor.engine.database, TYPE) is None

    # And the form once more does nothing
    assert (await visitor.post(f"/types/{TYPE}/publish", **form, why="shorter")).status == 409


@on_sqlite
async def test_an_error_keeps_a_draft_from_people_whatever_the_form_says(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    await write(visitor, "{{ brand }} " + "sehr viele Worte " * 40)
    page = await visitor.get(f"/types/{TYPE}/publish")

    answer = await visitor.post(f"/types/{TYPE}/publish", revision="1", live="0", why="all the same")

    assert "Publish version" not in page.body
    assert answer.status == 422
    assert await versions.live(visitor.engine.database) == {}


@on_sqlite
async def test_a_draft_that_has_become_unusable_is_not_held_against_what_is_live(desk: Enter) -> None:
    # Given a draft that names a field which there is no more
    visitor = await signed_in(desk, "publisher")
    await write(visitor, SHORT)
    draft = await gate.draft(visitor.engine, TYPE)
    wording = publishing.decode(draft.wording)
    gone = msgspec.structs.replace(wording["de"], sms=SmsTexts("{{ brand }}: {{ gone }}"))
    await publishing.save(visitor.engine.database, draft, {**wording, "de": gone}, "console:ada", NOW)

    page = says(await visitor.get(f"/types/{TYPE}/publish"))

    assert "there is no field gone" in page
    assert "Nothing can be compared" in page
    assert "Then nothing" not in page


async def test_what_was_published_meanwhile_is_told_and_taken_back_only_knowingly(desk: Enter) -> None:
    # Given a draft, and a version that was published beside it
    visitor = await signed_in(desk, "publisher")
    await write(visitor, SHORT)
    form = publishing_form((await visitor.get(f"/types/{TYPE}/publish")).body)
    engine = visitor.engine
    shipped, _ = await gate.live_wording(engine, TYPE)
    await publishing.publish(
        engine.database, TYPE, shipped, based_on=0, origin="import", actor="cli:tom", why="from git", now=NOW
    )

    # When it is published by the page of before, then it isn't, and the page tells of the other
    answer = await visitor.post(f"/types/{TYPE}/publish", **form, why="shorter")
    assert answer.status == 409
    assert "version 1 (cli:tom: from git)" in says(answer)

    # And by that page it is
    form = publishing_form(answer.body)
    assert (await visitor.post(f"/types/{TYPE}/publish", **form, why="shorter")).status == 303
    assert engine.renderer.live(TYPE) == 2


async def test_an_earlier_version_is_published_again_for_a_reason_and_a_draft_stays(desk: Enter) -> None:
    visitor = await signed_in(desk, "publisher")
    engine = visitor.engine
    for text, based_on in ((SHORT, 0), (f"{SHORT} Danke.", 1)):
        await write(visitor, text)
        form = publishing_form((await visitor.get(f"/types/{TYPE}/publish")).body)
        assert form["live"] == str(based_on)
        await visitor.post(f"/types/{TYPE}/publish", **form, why="a try")
    await write(visitor, f"{SHORT} Bis bald.")
    page = await visitor.get(f"/types/{TYPE}/versions/1")

    silent = await visitor.post(f"/types/{TYPE}/versions/1", live="2", why="")
    late = await visitor.post(f"/types/{TYPE}/versions/1", live="1", why="too friendly")
    done = await visitor.post(f"/types/{TYPE}/versions/1", live="2", why="too friendly")

    assert "Roll back to version 1" in page.body
    assert (silent.status, late.status, done.status) == (422, 409, 303)
    assert engine.renderer.live(TYPE) == 3
    assert (await gate.live_wording(engine, TYPE))[0]["de"].table("sms") == publishing.decode(
        (await versions.get(engine.database, TYPE, 1)).wording  # type: ignore[union-attr]
    )["de"].table("sms")
    assert await versions.draft(engine.database, TYPE) is not None
    assert (await visitor.post(f"/types/{TYPE}/versions/7", live="3", why="x")).status == 404
    assert (await visitor.post(f"/types/{TYPE}/versions/1", live="x", why="x")).status == 400


async def test_a_draft_is_thrown_away_as_it_was_seen(desk: Enter) -> None:
    visitor = await signed_in(desk, "author")
    await write(visitor, SHORT)

    late = await visitor.post(f"/types/{TYPE}/discard", revision="7")
    done = await visitor.post(f"/types/{TYPE}/discard", revision="1")

    assert (late.status, done.status) == (409, 303)
    assert await versions.draft(visitor.engine.database, TYPE) is None
    assert len(await told(visitor, "text.discard")) == 1


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_differs_between_two_texts_is_marked_and_nothing_is_left_out(before: str, after: str) -> None:
    old, new = runs(before, after)

    assert ("".join(run.text for run in old), "".join(run.text for run in new)) == (before, after)
    assert [run.text for run in old if run.same] == [run.text for run in new if run.same]


def test_what_is_added_at_the_end_leaves_the_last_word_unmarked() -> None:
    old, new = runs("Please pay\nnow", "Please pay\nnow\nhttps://i.example/a.png")

    assert [run.text for run in old if not run.same] == []
    assert [run.text for run in new if not run.same] == ["\nhttps://i.example/a.png"]
