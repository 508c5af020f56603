"""A scenario's outcome: its figures, and the demands that did not hold."""

from typing import Any

import msgspec

from notifier.chaos import ledger
from notifier.chaos.bed import QUIET_TIMEOUT, Bed
from notifier.chaos.ledger import Findings, LedgerSnapshot
from notifier.chaos.witness import Arrival


class ScenarioOutcome(msgspec.Struct, frozen=True):
    """Figures to show, and each demand in words, with whether it held."""

    figures: dict[str, Any]
    demands: dict[str, bool]

    @property
    def ok(self) -> bool:
        return all(self.demands.values())

    @property
    def unmet(self) -> list[str]:
        return [demand for demand, held in self.demands.items() if not held]


class Observation(msgspec.Struct, frozen=True):
    """Everything observed once the system is quiet."""

    ledger: LedgerSnapshot
    arrivals: list[Arrival]
    findings: Findings
    quiet_s: float

    @property
    def figures(self) -> dict[str, Any]:
        """Return every scenario's figures; a scenario with a better measure of recovery overrides `recovered_s`."""
        return {**msgspec.structs.asdict(self.findings), "recovered_s": self.quiet_s}


async def look(bed: Bed, accepted: list[str], each: int | None = None, within: float = QUIET_TIMEOUT) -> Observation:
    """Wait until the system is quiet, then compare its ledger with the sandbox's."""
    seconds = await bed.quiet(within)
    # Of a million deliveries the comparison takes longer than any statement of ours may, on a busy machine.
    patient = bed.system.database.patient()
    try:
        kept = await ledger.read(patient)
    finally:
        await patient.close()
    arrivals = await bed.witness.arrivals()
    return Observation(kept, arrivals, ledger.compare(kept, arrivals, accepted, each), round(seconds, 1))


def demands(findings: Findings, duplicated: int = 0) -> dict[str, bool]:
    """Return every scenario's demands; `duplicated` is the number of duplicates permitted."""
    return {
        "something was accepted": findings.accepted > 0,
        "nothing is lost": findings.lost == 0,
        f"at most {duplicated} duplicates": findings.duplicated <= duplicated,
        "nothing arrived that the ledger lacks": findings.unrecorded == 0,
        "nothing arrived after its time to live": findings.late == 0,
    }
