"""The facts that rules ask of a person, as they are shown."""

import msgspec

from notifier.domain.recipient_facts import RecipientFacts, facts_shown, read_facts


def test_facts_are_shown_by_their_names_and_read_from_them() -> None:
    # Given what is shown of somebody's facts, as a release before showed it
    shown = {"locale": "en", "time_zone": "UTC", "spent": {"offers": [1]}, "reachable": ["sms"]}

    # When they are read and shown again, then nothing is lost, and what there is none of isn't mentioned
    facts = read_facts(shown)
    assert facts == RecipientFacts(sends_in_window={"offers": (1,)}, reachable=frozenset({"sms"}))
    again = msgspec.json.decode(msgspec.json.encode(facts_shown(facts)))
    assert again.pop("preferences")["everything"] is True
    assert again == shown
