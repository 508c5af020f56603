"""The facts that rules ask of a person, as decisions' records keep them."""

import msgspec

from notifier.domain.recipient_facts import RecipientFacts


def test_a_decisions_record_keeps_its_members_names() -> None:
    # Given the facts in a record that an earlier version wrote
    record = b'{"spent":{"offers":[1]}}'

    # When they are read and written again, then nothing is lost, and other versions can read them
    facts = msgspec.json.decode(record, type=RecipientFacts)
    assert facts.sends_in_window == {"offers": (1,)}
    assert msgspec.json.encode(facts) == record
