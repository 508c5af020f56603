"""Real sessions are read as they are, broken files are refused by line and column, and the generated ones are alike."""

import gzip
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier.demo.acn import CLAIMED, STATIONS, ZONE, ChargingSession, generate, read_acn
from notifier.domain.errors import ConfigurationError

HEADER = (
    "arrival,departure,requested_energy (kWh),delivered_energy (kWh),station_id,session_id,estimated_departure,claimed"
)
ROW = "2021-05-01 07:06:21-07:00,2021-05-01 10:43:33-07:00,15.5,12.619,AG-1F13,1_1 14:06,2021-05-01 13:36:21-07:00,True"


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[ChargingSession]:
    return list(read_acn(shared_data / "acn" / "jpl_2021-05-01_2021-08-31.csv.gz"))


def test_every_real_session_is_read(real: list[ChargingSession]) -> None:
    assert len(real) == 3086
    assert real[0] == ChargingSession(
        id="1_1_194_821_2021-05-01T14:06:15.460872",
        station="AG-1F13",
        arrival=datetime(2021, 5, 1, 14, 6, 21, tzinfo=UTC),
        departure=datetime(2021, 5, 1, 17, 43, 33, tzinfo=UTC),
        estimated_departure=datetime(2021, 5, 1, 20, 36, 21, tzinfo=UTC),
        requested_kwh=15.5,
        delivered_kwh=12.619,
        claimed=True,
    )
    assert {session.station for session in real} == set(STATIONS)


def test_a_file_need_not_be_compressed(tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text(f"{HEADER}\n{ROW}\n")
    (tmp_path / "packed.csv.gz").write_bytes(gzip.compress(f"{HEADER}\n{ROW}\n".encode()))
    plain, packed = (list(read_acn(tmp_path / name)) for name in ("plain.csv", "packed.csv.gz"))
    assert plain == packed
    assert len(plain) == 1


@pytest.mark.parametrize(
    ("before", "after", "column"),
    [
        ("2021-05-01 07:06:21-07:00", "2021-05-01 07:06:21", "arrival"),
        ("2021-05-01 07:06:21-07:00", "yesterday", "arrival"),
        ("2021-05-01 07:06:21-07:00", "0001-01-01 00:00:00+14:00", "arrival"),
        ("2021-05-01 10:43:33-07:00", "2021-05-01 07:06:21-07:00", "departure"),
        ("2021-05-01 13:36:21-07:00", "", "estimated_departure"),
        ("15.5", "much", "requested_energy (kWh)"),
        ("12.619", "-1", "delivered_energy (kWh)"),
        ("12.619", "nan", "delivered_energy (kWh)"),
        ("12.619", "1e999", "delivered_energy (kWh)"),
        ("AG-1F13", " ", "station_id"),
        ("1_1 14:06", "", "session_id"),
        (",True", ",yes", "claimed"),
        (",True", "", "claimed"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_line_and_column(
    tmp_path: Path, before: str, after: str, column: str
) -> None:
    # Given a file whose third line is broken
    file = tmp_path / "sessions.csv"
    file.write_text(f"{HEADER}\n{ROW}\n{ROW.replace(before, after)}\n")
    # Then the line before it is read, and the error says where to look
    sessions = read_acn(file)
    next(sessions)
    with pytest.raises(ConfigurationError, match=r"sessions\.csv, line 3, column") as refused:
        next(sessions)
    assert repr(column) in str(refused.value)


def test_a_file_that_is_no_acn_data_is_refused(tmp_path: Path) -> None:
    for name, content in (
        ("other.csv", b"a,b\n1,2\n"),
        ("latin.csv", f"{HEADER}\nM\u00fcnchen".encode("latin-1")),
        ("packed.csv.gz", b"no gzip"),
        ("cut.csv.gz", gzip.compress(f"{HEADER}\n{ROW}\n".encode() * 99)[:-20]),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=re.escape(name)):
            list(read_acn(tmp_path / name))
    with pytest.raises(ConfigurationError, match=r"gone\.csv"):
        list(read_acn(tmp_path / "gone.csv"))


@pytest.mark.parametrize(
    "measure",
    [
        lambda session: (session.departure - session.arrival) / timedelta(hours=1),
        lambda session: session.delivered_kwh,
        lambda session: session.arrival.astimezone(ZONE).hour + session.arrival.minute / 60,
    ],
    ids=["hours of stay", "kWh", "time of arrival"],
)
@pytest.mark.parametrize("seed", [1, 7])
def test_generated_sessions_have_the_deciles_of_the_real_ones(
    real: list[ChargingSession], measure: Callable[[ChargingSession], float], seed: int
) -> None:
    generated = list(generate(3000, seed))
    for decile in range(1, 10):
        ours, theirs = (sorted(map(measure, each))[len(each) * decile // 10] for each in (generated, real))
        assert ours == pytest.approx(theirs, rel=0.12), f"at {decile * 10} %"


def test_generated_sessions_have_the_long_tails_and_the_strangers_of_the_real_ones(real: list[ChargingSession]) -> None:
    def share(sessions: list[ChargingSession], holds: Callable[[ChargingSession], bool]) -> float:
        return sum(map(holds, sessions)) / len(sessions)

    generated = list(generate(3000, 1))
    for holds in (
        lambda session: session.claimed,
        lambda session: session.departure - session.arrival > timedelta(hours=12),
        lambda session: session.delivered_kwh > 34,
        lambda session: session.arrival.astimezone(ZONE).weekday() > 4,
    ):
        assert share(generated, holds) == pytest.approx(share(real, holds), abs=0.02)
    assert share(real, lambda session: session.claimed) == pytest.approx(CLAIMED, abs=0.005)


def test_generated_sessions_follow_from_their_seed_alone_and_come_in_order() -> None:
    sessions = list(generate(300, 7))
    assert sessions == list(generate(300, 7))
    assert sessions != list(generate(300, 8))
    assert sessions == sorted(sessions, key=lambda session: session.arrival)
    assert len({session.id for session in sessions}) == 300
    assert list(generate(0, 7)) == []


def test_no_two_generated_cars_stand_at_one_station() -> None:
    until: dict[str, datetime] = {}
    for session in generate(1000, 3):
        assert session.arrival < session.departure
        assert session.arrival >= until.get(session.station, session.arrival)
        until[session.station] = session.departure
