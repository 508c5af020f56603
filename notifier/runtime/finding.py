"""Findings of `notifier doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DoctorFinding:
    """One part: whether it is good, missing (something won't work, by choice or not) or wrong, and what to do."""

    part: str
    verdict: Literal["good", "missing", "wrong"]
    told: str
    way_out: str = ""
