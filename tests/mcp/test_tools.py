"""The tools for language models, called by the protocol's own client over a real `notifier mcp` and a real web."""

import pytest

from notifier.store.core.staff import audit
from tests.api.conftest import on_sqlite
from tests.api.server import Caller, add_key
from tests.api.test_dead import die, listed
from tests.api.test_drafting import key_of
from tests.mcp.client import model
from tests.samples import CATALOG, EVENT

pytestmark = [on_sqlite, pytest.mark.timeout(120)]  # each test starts a process

NOWHERE = "http://127.0.0.1:9"


async def test_every_tool_says_what_it_is_for_and_whether_it_changes_anything(api: Caller) -> None:
    async with model(api) as assistant:
        told = (await assistant.session.list_tools()).tools

    hints = {each.name: each.annotations for each in told}
    writing = {name for name, each in hints.items() if each is not None and not each.read_only_hint}
    assert writing == {"redrive_dead_letters", "discard_dead_letters", "draft_texts", "publish_texts"}
    assert {name for name in writing if getattr(hints[name], "destructive_hint", None)} == writing - {"draft_texts"}
    for each in told:
        assert each.description
        assert all("description" in parameter for parameter in each.input_schema["properties"].values()), each.name


async def test_an_event_is_explained_in_words(api: Caller) -> None:
    # Given a mail that was not to be delivered
    letter = await die(api)

    async with model(api) as assistant:
        by_delivery = await assistant.call("explain", delivery=letter)
        by_source = await assistant.call("explain", source=EVENT["source"], id="attempt-7", recipient="A-1")
        for_nobody = await assistant.call("explain", source=EVENT["source"], id="attempt-7", recipient="eve")

    # Then the words say what became of it, without a person's facts
    (made,) = by_source.told["decisions"]
    assert made == by_delivery.told["decisions"][0]
    assert made["recipient"] == "A-1"
    (mail,) = [each for each in made["deliveries"] if each["id"] == letter]
    assert "can't receive" in mail["words"]
    assert "standing" not in made
    assert for_nobody.told["why_not"]
    assert "decisions" not in for_nobody.told


async def test_an_event_is_simulated_and_nothing_is_written(api: Caller) -> None:
    await api.call("PUT", "/v1/recipients/ada", b'{"email": "ada@example.com"}')
    before = await api.rows(audit)

    async with model(api) as assistant:
        told = (await assistant.call("simulate", type=EVENT["type"], data={**EVENT["data"], "driver_id": "ada"})).told
        faulty = await assistant.call("simulate", type=EVENT["type"], data={"driver_id": "ada"})

    (fate,) = told["notifications"]
    answers = {each["channel"]: each for each in fate["answers"]}
    assert answers["email"]["words"] == "to be sent immediately"
    assert "subject" in answers["email"]["content"]
    assert "html" not in answers["email"]["content"]
    assert answers["push"]["because"] == "There is no device: not sent."
    assert await api.rows(audit) == before
    assert faulty.refusal.startswith("Error executing tool simulate: Event data doesn't fit (42202) at /event/data/")


async def test_dead_letters_are_listed_shown_redriven_and_discarded_with_the_keys_name_in_the_audit(
    api: Caller,
) -> None:
    # Given two dead letters
    first, second = await die(api), await die(api, 8)

    # When one is looked at and redriven, and the other discarded
    async with model(api) as assistant:
        found = (await assistant.call("dead_letters", channel="email")).told["letters"]
        letter = (await assistant.call("dead_letter", id=first)).told
        redriven = (await assistant.call("redrive_dead_letters", ids=[first])).told
        discarded = (await assistant.call("discard_dead_letters", ids=[second])).told
        none = await assistant.call("dead_letter", id="../recipients/A-1?x=")

    # Then both are done with, and the audit has who did it
    assert {each["id"] for each in found} == {first, second}
    assert letter["attempts"][0]["code"] == "5.1.1"
    assert [each["status"] for each in (*redriven["results"], *discarded["results"])] == ["redriven", "discarded"]
    assert await listed(api) == []
    assert {(entry.actor, entry.action, entry.subject) for entry in await api.rows(audit)} >= {
        ("test", "dead.redrive", first), ("test", "dead.discard", second)
    }  # fmt: skip
    assert "Not found (40401)" in none.refusal


async def test_texts_are_read_checked_drafted_and_published_by_somebody_else(api: Caller) -> None:
    # Given a model that may draft, and one that may publish
    author = await key_of(api, "author", "texts:read", "texts:write")
    publisher = await key_of(api, "publisher", "texts:read", "texts:publish")
    async with model(api, author) as assistant:
        types = (await assistant.call("read_texts")).told["types"]
        texts = (await assistant.call("read_texts", type="payment-failed")).told["texts"]

        # When a title is shortened, checked and drafted
        texts["en"]["push"]["title"] = "Payment failed"
        linted = (await assistant.call("lint_texts", type="payment-failed", texts=texts)).told
        compared = (await assistant.call("diff_texts", type="payment-failed", texts=texts)).told
        saved = (await assistant.call("draft_texts", type="payment-failed", texts=texts, revision=0)).told
        own = await assistant.call("publish_texts", type="payment-failed", revision=1)
    async with model(api, publisher) as assistant:
        published = await assistant.call("publish_texts", type="payment-failed", revision=1, why="shorter")

    # Then the model that drafted could not publish, the other could, and the audit has both
    assert {each["type"] for each in types} == set(CATALOG.types)
    assert linted["blocked"] is False
    (change,) = compared["changes"]
    assert (change["locale"], change["channel"]) == ("en", "push")
    assert saved["revision"] == 1
    assert "lacks the scope texts:publish" in own.refusal
    assert published.told["version"] == 1
    assert {(entry.actor, entry.action) for entry in await api.rows(audit)} >= {
        ("author", "text.draft"), ("publisher", "text.publish")
    }  # fmt: skip


async def test_a_past_day_is_decided_again(api: Caller) -> None:
    await die(api)

    async with model(api) as assistant:
        told = (await assistant.call("replay_day", day="2026-03-09", time_zone="Europe/Berlin")).told
        refused = await assistant.call("replay_day", day="2026-03-09", time_zone="Nowhere")

    assert (told["events"], told["differ"], told["changes"], told["next"]) == (1, 0, [], None)
    assert "(42205) at /time_zone" in refused.refusal


async def test_the_books_are_told(api: Caller) -> None:
    await die(api)

    async with model(api) as assistant:
        told = (await assistant.call("ledger")).told

    assert (told["balanced"], told["imbalance"], told["events"]) == (True, 0, 1)


async def test_a_key_that_lacks_a_scope_is_told_which_and_changes_nothing(api: Caller) -> None:
    # Given a dead letter, and a key that may only look at it
    letter = await die(api)
    key = await add_key(api.engine.database, "dead:read")

    async with model(api, key) as assistant:
        told = await assistant.call("redrive_dead_letters", ids=[letter])
        seen = await assistant.call("dead_letters")

    assert "Scope missing (40301)" in told.refusal
    assert "lacks the scope dead:write" in told.refusal
    assert key not in told.refusal
    assert [each["id"] for each in seen.told["letters"]] == [letter] == await listed(api)


async def test_a_service_that_is_away_is_told_of(api: Caller) -> None:
    async with model(api, url=NOWHERE) as assistant:
        told = await assistant.call("ledger")

    assert f"{NOWHERE} does not answer" in told.refusal
    assert "NOTIFIER_PUBLIC_URL" in told.refusal


async def test_arguments_that_a_tool_does_not_take_are_refused_before_a_call(api: Caller) -> None:
    async with model(api) as assistant:
        told = await assistant.call("discard_dead_letters", ids=[])

    assert "ids" in told.refusal
