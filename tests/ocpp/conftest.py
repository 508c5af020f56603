"""Frames of stations, as a CSMS forwards them."""

from typing import Any

from notifier.ocpp.frames import read
from notifier.ocpp.sessions import Fact, StationState, move

NOW = 1_773_078_000_000  # 2026-03-09T17:40:00Z


def call(action: str, id_: str = "m-1", **payload: Any) -> list[Any]:
    """A call as it is on the wire."""
    return [2, id_, action, payload]


def start(number: int = 1, at: str = "2026-03-09T17:00:00Z", **others: Any) -> list[Any]:
    """StartTransaction of 1.6."""
    payload = {"connectorId": 1, "idTag": "DE8ACC12E46L89", "meterStart": 1000, "timestamp": at} | others
    return call("StartTransaction", f"start-{number}", **payload)


def answered(number: int = 1, transaction: int = 7) -> list[Any]:
    """What a StartTransaction was answered."""
    return [3, f"start-{number}", {"transactionId": transaction, "idTagInfo": {"status": "Accepted"}}]


def stop(transaction: int = 7, meter: int = 13_000, at: str = "2026-03-09T18:30:00Z", **others: Any) -> list[Any]:
    """StopTransaction of 1.6."""
    payload = {"transactionId": transaction, "meterStop": meter, "timestamp": at} | others
    return call("StopTransaction", "stop", **payload)


def status(word: str, at: str = "2026-03-09T18:00:00Z", connector: int = 1, error: str = "NoError") -> list[Any]:
    """StatusNotification of 1.6."""
    return call("StatusNotification", connectorId=connector, errorCode=error, status=word, timestamp=at)


def reading(energy: str, soc: str | None = None, at: str = "2026-03-09T17:50:00Z", **others: Any) -> list[Any]:
    """MeterValues of 1.6: energy in Wh, and what the car says of its battery."""
    samples = [{"value": energy}] + ([{"value": soc, "measurand": "SoC", "unit": "Percent"}] if soc else [])
    value = {"timestamp": at, "sampledValue": samples}
    payload: dict[str, Any] = {"connectorId": 1, "meterValue": [value]}
    return call("MeterValues", **(payload | others))


def event(kind: str, seq: int, at: str, state: str | None = None, **others: Any) -> list[Any]:
    """TransactionEvent of 2.0.1; `reason` is why it ended, `energy` in Wh."""
    info = {"transactionId": "tx-1"} | ({"chargingState": state} if state else {})
    if reason := others.pop("reason", None):
        info["stoppedReason"] = reason
    payload: dict[str, Any] = {
        "eventType": kind, "timestamp": at, "triggerReason": "ChargingStateChanged", "seqNo": seq,
        "transactionInfo": info,
    }  # fmt: skip
    if (energy := others.pop("energy", None)) is not None:
        samples = [{"value": energy, "measurand": "Energy.Active.Import.Register"}]
        payload["meterValue"] = [{"timestamp": at, "sampledValue": samples}]
    return call("TransactionEvent", f"e-{seq}", **(payload | others))


def told(*frames: list[Any], station: str = "CS-1") -> list[Fact]:
    """All that is told of frames that come one after the other."""
    return moved(StationState(), *frames, station=station)[1]


def moved(state: StationState, *frames: list[Any], station: str = "CS-1") -> tuple[StationState, list[Fact]]:
    """A station after frames, and what is told of them."""
    facts: list[Fact] = []
    for each in frames:
        frame = read(each)
        if frame is not None:
            state, more = move(state, station, frame, NOW)
            facts += more
    return state, facts
