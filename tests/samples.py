"""An event that several tests report, and the moment at which they do."""

import json
from pathlib import Path
from typing import Any

import msgspec

from notifier.domain.catalog import Catalog
from notifier.domain.catalog_files import load_catalog
from notifier.domain.cloudevents import CheckedEvent
from notifier.domain.errors import Problem
from notifier.domain.links import Links
from notifier.rendering import Brand, Renderer

NOW = 1_773_078_000_000  # 2026-03-09T17:40:00Z
TEMPLATES = Path(__file__).parents[1] / "templates"
LINKS = Links("https://notify.example.com", [b"signing key of the tests"])
CATALOG = load_catalog(TEMPLATES)
UNLIMITED = Catalog(
    CATALOG.types.values(), msgspec.structs.replace(CATALOG.regulation, per_type=None, types={}, per_person=None)
)
"""The same types, which may tell one person as often as a test has it."""
RENDERER = Renderer(CATALOG, TEMPLATES, Brand("Voltline", "https://app.example.com"))

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "attempt-7",
    "source": "billing",
    "type": "payment.failed",
    "data": {
        "account_id": "A-1",
        "driver_id": "nobody-here-knows",
        "attempt": 7,
        "amount": {"amount": 20.9, "currency": "EUR"},
        "blocked": False,
    },
}


def encoded(**attributes: Any) -> bytes:
    """The event with these attributes, as JSON."""
    return json.dumps({**EVENT, **attributes}).encode()


def with_data(**members: Any) -> bytes:
    """The event with these members in its data, as JSON."""
    return encoded(data={**EVENT["data"], **members})


def accepted(result: CheckedEvent | Problem) -> CheckedEvent:
    """The event, which must be one that was taken."""
    assert isinstance(result, CheckedEvent), result
    return result


def refused(result: CheckedEvent | Problem) -> Problem:
    """The problem, which must be one."""
    assert isinstance(result, Problem), result
    return result
