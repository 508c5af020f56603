"""Findings of `notifier doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DoctorFinding:
    """One part: whether it is good, missing (something won't work, by choice or not), wrong or unknown (it can't be
    looked at from here), and what to do."""

    part: str
    verdict: Literal["good", "missing", "wrong", "unknown"]
    told: str
    way_out: str = ""
