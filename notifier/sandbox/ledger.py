"""The sandbox's ledger: messages that arrived at the stand-ins, in order, accepted or refused as a provider would.

Every audit compares it with the engine's own ledger message by message. So it counts every message for ever, and keeps
addresses and content of the last `FULL_ENTRIES` only.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from notifier.domain.clock import Clock
from notifier.domain.deliveries import Channel
from notifier.domain.messages import Private
from notifier.sandbox.stand_in import stand_ins

FULL_ENTRIES: Final = 20_000
"""Entries kept with address and content: more than any page shows, and some 100 MB with mails of 5 kB."""

Verdict = Literal["accepted", "refused"]


class SandboxContent(Private, frozen=True, kw_only=True):
    """A message's content; each stand-in's subclass adds fields, and a tag that identifies its JSON."""


class SandboxEntry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message that arrived. `number` counts from 1 and never changes; `received_at` is an instant.

    `code` is the provider's own code of a refusal. `to`, `provider_id` and `content` are empty in old entries.
    """

    number: int
    channel: Channel
    reference: str
    verdict: Verdict
    received_at: int
    to: str = ""
    provider_id: str = ""
    code: str = ""
    content: SandboxContent | None = None

    def __repr__(self) -> str:
        return f"<Entry {self.number} {self.channel} {self.reference} {self.verdict}>"


class Tally:
    """One channel's counts: messages accepted, how often by reference, and refusals by the provider's code.

    `duplicates` are acceptances of a reference that had been accepted before.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.duplicates = 0
        self.times: dict[str, int] = {}
        self.refused: Counter[str] = Counter()


class SandboxLedger:
    """Entries, oldest first, and their counts by channel; the last `full` entries keep their address and content."""

    def __init__(self, clock: Clock, full: int = FULL_ENTRIES) -> None:
        self._clock = clock
        self._full = full
        self.clear()

    def clear(self) -> None:
        """Remove all entries and counts; numbers start at 1 again."""
        self.entries: list[SandboxEntry] = []
        self.tallies: dict[Channel, Tally] = {channel: Tally() for channel in stand_ins()}

    def accept(
        self, channel: Channel, to: str, reference: str, content: SandboxContent | None, provider_id: str
    ) -> SandboxEntry:
        """Enter a message that the provider accepted. Without a reference it counts, but never as a duplicate."""
        tally = self.tallies[channel]
        tally.accepted += 1
        if reference:
            before = tally.times.get(reference, 0)
            tally.times[reference] = before + 1
            tally.duplicates += before > 0
        return self._enter(channel, to, reference, "accepted", content=content, provider_id=provider_id)

    def refuse(self, channel: Channel, code: str, to: str = "", reference: str = "") -> SandboxEntry:
        """Enter a message that the provider refused, with the fields read so far."""
        self.tallies[channel].refused[code] += 1
        return self._enter(channel, to, reference, "refused", code=code)

    def accepted(self, channel: Channel, reference: str) -> int:
        """Return how often messages with this reference were accepted."""
        return self.tallies[channel].times.get(reference, 0)

    def of(self, reference: str, channel: Channel | None = None) -> list[SandboxEntry]:
        """Return the entries with a reference, oldest first."""
        return [entry for entry in self.entries if entry.reference == reference and channel in (None, entry.channel)]

    def after(self, number: int, channel: Channel | None = None) -> Iterator[SandboxEntry]:
        """Return the entries after the one with this number, oldest first."""
        for index in range(max(number, 0), len(self.entries)):
            if channel in (None, self.entries[index].channel):
                yield self.entries[index]

    def latest(self, channel: Channel, to: frozenset[str] = frozenset()) -> Iterator[SandboxEntry]:
        """Yield accepted messages that still have their content, newest first; to these addresses, or to all."""
        for entry in islice(reversed(self.entries), self._full):
            if entry.channel is channel and entry.verdict == "accepted" and (not to or entry.to in to):
                yield entry

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return counts by channel: accepted, distinct references, duplicates, and refusals by code."""
        return {
            channel.value: {
                "accepted": tally.accepted,
                "references": len(tally.times),
                "duplicates": tally.duplicates,
                "refused": dict(tally.refused),
            }
            for channel, tally in self.tallies.items()
        }

    def _enter(self, channel: Channel, to: str, reference: str, verdict: Verdict, **more: Any) -> SandboxEntry:
        entry = SandboxEntry(
            number=len(self.entries) + 1,
            channel=channel,
            reference=reference,
            verdict=verdict,
            received_at=self._clock.now(),
            to=to,
            **more,
        )
        self.entries.append(entry)
        aged = len(self.entries) - self._full - 1
        if aged >= 0:
            self.entries[aged] = _without_content(self.entries[aged])
        return entry


def _without_content(entry: SandboxEntry) -> SandboxEntry:
    """Return an old entry without address and content: enough to compare with the engine's ledger."""
    return SandboxEntry(
        number=entry.number,
        channel=entry.channel,
        reference=entry.reference,
        verdict=entry.verdict,
        received_at=entry.received_at,
        code=entry.code,
    )
