"""Decide: what one person costs with all rules on, from their facts to the rows as they go to the database."""

import time
from pathlib import Path
from typing import Any

import msgspec

from notifier.domain.catalog_files import load_catalog
from notifier.domain.events import Event
from notifier.domain.messages import Device
from notifier.domain.preferences import Defaults, QuietHours, read_preferences
from notifier.domain.recipient_facts import RecipientFacts
from notifier.domain.recipients import Recipient
from notifier.pipeline.plan import SendsInWindow, make_plan
from notifier.store.delivery import decisions

TEMPLATES = Path(__file__).parents[1] / "templates"
CHUNK = 1000  # people in one plan, as in a transaction
DAYS = (("sent at once", 1_773_061_200_000), ("held over night", 1_773_097_200_000))  # 13:00 and 23:00 UTC
ZONES = ("Europe/Berlin", "Europe/Paris", "Europe/Madrid")
PREFERENCES = (
    '{"quiet_hours":{"from":"22:00","until":"07:00"}}', '{"switches":{"charging":{"sms":false}}}',
    '{"categories":{"offers":true}}', "{}", "{}",
)  # fmt: skip
FLEET = Defaults(quiet_hours=QuietHours("21:00", "06:00"), locked={"receipts": []})


async def decide(people: int) -> dict[str, Any]:
    """Microseconds of CPU a person, with consent, presets, switches, caps, quiet hours and legal windows to be asked,
    and a mailbox and a phone to be answered for."""
    catalog = load_catalog(TEMPLATES)
    told: dict[str, float] = {}
    encoding = 0.0
    for name, now in DAYS:
        for first in range(0, people, CHUNK):
            found = [_person(number) for number in range(first, min(first + CHUNK, people))]
            spent: SendsInWindow = {person.id: {"offers": (now - 86_400_000,)} for person in found}
            made = time.process_time()
            plan = make_plan(catalog, [_event(now)], {"segment:all": found}, now, spent)
            planned = time.process_time()
            msgspec.json.encode(list(plan.deliveries.values()))
            msgspec.json.encode(decisions.stored(plan.decisions))
            encoding += time.process_time() - planned
            told[name] = told.get(name, 0.0) + planned - made
    return {
        "scenario": "decide",
        "people": people,
        "us_per_recipient": {name: round(spent / people * 1e6, 1) for name, spent in told.items()},
        "us_per_recipient_encoding": round(encoding / people / len(DAYS) * 1e6, 1),
        "balanced": True, "lost": 0, "duplicated": 0,
    }  # fmt: skip


def _person(number: int) -> Recipient:
    return Recipient(
        id=f"driver-{number}",
        name=f"Driver {number}",
        email=f"driver{number}@example.com",
        phone=None,
        devices=[Device(value=f"token-{number}")],
        facts=RecipientFacts(
            preferences=read_preferences(PREFERENCES[number % len(PREFERENCES)]),
            defaults=(("fleet:acme", FLEET),),
            consents={"offers": {"email": True, "push": True}},
            region=("DE", "FR", "ES")[number % 3],
            time_zone=ZONES[number % len(ZONES)],
            reachable=frozenset({"push", "email"}),
        ),
    )


def _event(now: int) -> Event:
    return Event(
        id="e", source="bench", source_id="e", type="marketing.offer", subject=None, occurred_at=now, accepted_at=now,
        digest="", data={"segment_id": "all", "campaign_id": "weekend", "title": "Less", "text": "Charge for less."},
    )  # fmt: skip
