"""`notifier types`: what each event type needs, and in words who would hear of it."""

import json

import pytest

from notifier.why.event_types import describe, summary
from tests.cli.test_commands import Shell, shell
from tests.samples import CATALOG

__all__ = ["shell"]


def words(event: str) -> list[str]:
    """What is said of the one type that an event sets off."""
    (listener,) = describe(CATALOG, event).listeners
    return listener.words


def test_all_are_listed_without_a_database(shell: Shell) -> None:
    told = shell("types")

    assert told.exit_code == 0
    assert [line.split()[0] for line in told.output.splitlines()] == CATALOG.event_types
    assert "Sends “Charging complete” to the driver." in told.output


def test_one_is_told_with_its_fields_its_listeners_and_its_programs(shell: Shell) -> None:
    told = shell("types", "charging.complete", public_url="https://notify.example.com")

    assert told.exit_code == 0
    assert "One of driver_id, token is required" in told.output
    assert "Charging complete (charging-complete): service" in told.output
    assert "https://notify.example.com/v1/events" in told.output
    assert "from notifier.client import Producer" in told.output


def test_as_json_one_is_an_object_and_all_are_an_array_of_the_same(shell: Shell) -> None:
    one = json.loads(shell("types", "station.offline", "--json").output)
    every = json.loads(shell("types", "--json").output)

    assert [each["type"] for each in every] == CATALOG.event_types
    assert one in every
    assert one["fields"][0].keys() == {"name", "type", "shape", "required", "about"}
    assert one["example"]["type"] == "station.offline"
    assert one["cancels"] == [
        "It takes back “Station back online” about the same station_id, as far as that has not gone out."
    ]


def test_what_an_event_answers_is_told_of_both(shell: Shell) -> None:
    said = "It is the outcome of “Charging complete” about the same session_id, within 30 min."
    assert said in describe(CATALOG, "session.ended").answers
    assert said.split(" about", 1)[0] in shell("types", "session.ended").output
    assert "Its outcome is “The car left”: session.ended with the same session_id within 30 min." in words(
        "charging.complete"
    )
    assert "Is the outcome of “Payment failed”." in shell("types").output


def test_one_that_there_is_not_is_refused_with_the_way_out(shell: Shell) -> None:
    told = shell("types", "no.such")

    assert told.exit_code == 2
    assert "there is no event type no.such; `notifier types` lists them" in told.output


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("charging.complete", "It is for the driver named by driver_id or token."),
        ("charging.complete", "It supersedes “Charging started” about the same session_id."),
        ("charging.complete", "session.ended with the same session_id takes it back, as far as it has not gone out."),
        ("charging.complete", "One person gets at most 10 of it within 1 h."),
        ("session.receipt", "People can switch off the category receipts, but not by e-mail."),
        ("waitlist.your_turn", "It comes by push, then by SMS: each channel waits 20 s for the one before to be seen."),
        ("waitlist.your_turn", "It comes in people's quiet hours, too."),
        (
            "vehicle.not_ready",
            (
                "Those on call are told one after the other, each 10 min after the one before, until somebody "
                "acknowledges it."
            ),
        ),
        (
            "station.offline",
            "What comes by e-mail is collected for 10 min: events alike in site_id and site come as one message.",
        ),
        (
            "station.online",
            "It says that “Station offline” is over: only who was told of that hears of it.",
        ),
        (
            "marketing.offer",
            "It goes only to people who have consented to offers, at hours at which marketing is allowed.",
        ),
        ("marketing.offer", "One person gets at most 2 of the category offers within 7 d; the rest is not sent."),
        ("station.available", "It ends the subscription of whoever was told."),
        (
            "idle.warning",
            "30 min after the event it is of no use and is not sent any more, or once idle_fee_from is past.",
        ),
    ],
)
def test_who_hears_of_it_is_told_in_sentences(event: str, said: str) -> None:
    assert said in words(event)


@pytest.mark.parametrize("event", CATALOG.event_types)
def test_every_event_type_is_told(event: str) -> None:
    told = describe(CATALOG, event)

    assert summary(CATALOG, event)
    assert told.listeners or told.cancels or told.answers
    assert [field.name for field in told.fields] == list(CATALOG.fields(event))
    for said in [*told.cancels, *told.answers, *(each for listener in told.listeners for each in listener.words)]:
        assert said.endswith(".")
        assert "  " not in said
