"""What a peer is told: the servers, the stand-ins, the people and how many events."""

import os
import sys
from pathlib import Path
from typing import Any

import msgspec

VARIABLE = "BENCH_JOB"


class Person(msgspec.Struct, frozen=True):
    """Whom a peer tells, by the channels that have an address."""

    id: str
    name: str
    locale: str
    email: str | None
    phone: str | None
    token: str | None

    @property
    def channels(self) -> list[str]:
        found = {"push": self.token, "sms": self.phone, "email": self.email}
        return [channel for channel, address in found.items() if address]


class Job(msgspec.Struct, frozen=True):
    """One peer's part: the events with numbers from `first` to before `last`, each for one of `people`; a peer
    that is `helped` does more than what it comes with."""

    database_url: str
    broker_url: str
    http_url: str
    smtp_port: int
    service_account: str
    twilio: tuple[str, str]
    first: int
    last: int
    people: list[Person]
    helped: bool = False

    def person(self, number: int) -> Person:
        """Whom the event with a number is for."""
        return self.people[number % len(self.people)]


def read() -> Job:
    """The job of this process."""
    return msgspec.json.decode(Path(os.environ[VARIABLE]).read_bytes(), type=Job)


def data(number: int) -> dict[str, Any]:
    """What the event with a number tells: the same as ours (`bench.load.payload`)."""
    return {
        "account_id": f"account-{number}",
        "amount": {"amount": 18.45 + number % 50, "currency": "EUR"},
        "payment_method": "Visa •••• 4242",
        "blocked": False,
    }


def wait_for_start() -> None:
    """Say that everything is prepared, and wait to be told."""
    print("ready", flush=True)
    sys.stdin.readline()
