"""Who is told of a free port: in the order of asking, never more than ports are free, and nobody in vain."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from notifier.domain.availability_alerts import (
    LASTS,
    OFFER,
    Alert,
    AlertState,
    Ended,
    ahead,
    end,
    is_free,
    is_same,
    next_look,
    offers,
    passed,
)
from notifier.domain.clock import MINUTE, SECOND
from notifier.domain.stations import STABLE, Connector, Evse, EvseStatus, look, report

NOON = 1_772_366_400_000
PLACE = "NL-TNM-LOC1"
CCS, TYPE_2 = "IEC_62196_T2_COMBO", "IEC_62196_T2"


def port(uid: str, *standards: str, free: bool = True, epoch: int = 1) -> Evse:
    """A port of the place, free for long or taken."""
    connectors = tuple(Connector(str(number), each) for number, each in enumerate(standards or (CCS,)))
    return Evse(
        id=f"{PLACE}-{uid}", location_id=PLACE, uid=uid, connectors=connectors,
        status=EvseStatus.AVAILABLE if free else EvseStatus.CHARGING, since=NOON, last_updated=NOON, heard_at=NOON,
        epoch=epoch, settled=free,
    )  # fmt: skip


def alert(who: str, asked: int = 0, connector: str | None = None, **others: object) -> Alert:
    """An alert that was asked for so many seconds after noon."""
    at = NOON + asked * SECOND
    fields: dict[str, object] = {
        "id": f"{who}-{asked}", "location_id": PLACE, "recipient_id": who, "connector": connector, "asked_at": at,
        "until": at + LASTS,
    }  # fmt: skip
    return Alert(**(fields | others))  # type: ignore[arg-type]


def test_the_first_to_ask_are_offered_as_many_ports_as_are_free() -> None:
    # Given
    asked = [alert("cem", 3), alert("ada", 1), alert("bea", 2)]
    # When
    made = offers([port("1"), port("2"), port("3", free=False)], asked, NOON + MINUTE)
    # Then
    assert [(each.recipient_id, each.evse_id) for each in made] == [("ada", f"{PLACE}-1"), ("bea", f"{PLACE}-2")]
    assert {(each.state, each.epoch, each.until) for each in made} == {(AlertState.OFFERED, 1, NOON + MINUTE + OFFER)}


def test_who_takes_any_connector_leaves_the_only_fitting_port_to_whom_it_fits() -> None:
    # Given
    ports = [port("1", CCS), port("2", TYPE_2)]
    # When
    made = offers(ports, [alert("ada", 1), alert("bea", 2, CCS)], NOON + MINUTE)
    # Then
    assert {each.recipient_id: each.evse_id for each in made} == {"ada": f"{PLACE}-2", "bea": f"{PLACE}-1"}


def test_nobody_without_a_fitting_port_keeps_others_waiting() -> None:
    # When
    made = offers([port("1", TYPE_2)], [alert("ada", 1, CCS), alert("bea", 2, TYPE_2)], NOON + MINUTE)
    # Then
    assert [each.recipient_id for each in made] == ["bea"]


def test_an_offer_holds_its_port_until_its_end_and_then_the_next_is_told() -> None:
    # Given
    (offered,) = offers([port("1")], [alert("ada", 1)], NOON + MINUTE)
    both = [offered, alert("bea", 2)]
    # When
    before, after = (offers([port("1")], both, offered.until + late) for late in (-1, 0))
    # Then
    assert before == []
    assert [each.recipient_id for each in after] == ["bea"]
    assert passed(offered, offered.until).ended == Ended.TOLD
    assert next_look(both[1], both) == offered.until


def test_a_port_that_a_stranger_took_is_offered_again_once_it_has_been_free_anew() -> None:
    # Given
    (offered,) = offers([port("1")], [alert("ada", 1)], NOON + MINUTE)
    both = [offered, alert("bea", 2)]
    # When
    taken = offers([port("1", free=False)], both, NOON + 2 * MINUTE)
    anew = offers([port("1", epoch=2)], both, NOON + 3 * MINUTE)
    # Then
    assert taken == []
    assert [(each.recipient_id, each.epoch) for each in anew] == [("bea", 2)]
    assert not is_same(offered, port("1", epoch=2))


def test_nobody_is_told_twice_of_one_availability() -> None:
    # Given Ada was told, and has asked again
    told = end(offers([port("1")], [alert("ada", 1)], NOON + MINUTE)[0], Ended.TOLD, NOON + 20 * MINUTE)
    # When
    same = offers([port("1")], [told, alert("ada", 1260)], NOON + 22 * MINUTE)
    anew = offers([port("1", epoch=2)], [told, alert("ada", 1260)], NOON + 22 * MINUTE)
    # Then
    assert same == []
    assert [each.epoch for each in anew] == [2]


def test_who_has_waited_for_two_hours_waits_no_longer() -> None:
    # Given
    asked = alert("ada")
    # When
    over = passed(asked, NOON + LASTS)
    # Then
    assert (over.state, over.ended) == (AlertState.OVER, Ended.TIMED_OUT)
    assert offers([port("1")], [asked], NOON + LASTS) == []


def test_my_place_counts_those_before_me_who_could_take_what_i_wait_for() -> None:
    # Given
    mine = alert("cem", 3, CCS)
    others = [alert("ada", 1, TYPE_2), alert("bea", 2), alert("dot", 4), mine]
    # Then
    assert ahead(mine, others) == 1
    assert ahead(alert("eve", 5), [*others, alert("eve", 5)]) == 4


waiting = st.lists(st.sampled_from([None, CCS, TYPE_2, "CHADEMO"]), max_size=7)
standing = st.lists(st.lists(st.sampled_from([CCS, TYPE_2, "CHADEMO"]), min_size=1, max_size=2), max_size=5)


@given(standing, waiting)
def test_nobody_goes_without_who_could_have_had_a_port_beside_all_who_asked_before(
    ports: list[list[str]], wanted: list[str | None]
) -> None:
    # Given
    free = [port(str(number), *standards) for number, standards in enumerate(ports)]
    asked = [alert(f"p{number}", number, connector) for number, connector in enumerate(wanted)]
    # When
    served = {each.recipient_id for each in offers(free, asked, NOON + MINUTE)}
    # Then
    assert len(offers(free[::-1], asked[::-1], NOON + MINUTE)) == len(served)
    for number, each in enumerate(asked):
        before = [other for other in asked[:number] if other.recipient_id in served]
        everybody = offers(free, [*before, each], NOON + MINUTE)
        assert (each.recipient_id in served) == (len(everybody) == len(before) + 1)


class Place(RuleBasedStateMachine):
    """People ask and leave, strangers come and go, time passes, and the clock looks or doesn't."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.ports = {each.id: each for each in (port("1", CCS), port("2", CCS, TYPE_2), port("3", TYPE_2, free=False))}
        self.alerts: dict[str, Alert] = {}
        self.heard: list[Alert] = []
        self.gone: set[str] = set()

    @rule(who=st.sampled_from(["ada", "bea", "cem", "dot"]), connector=st.sampled_from([None, CCS, TYPE_2]))
    def ask(self, who: str, connector: str | None) -> None:
        if not any(each.is_live and each.recipient_id == who for each in self.alerts.values()):
            self.now += 1
            new = alert(who, connector=connector, asked_at=self.now, until=self.now + LASTS, id=f"{who}-{self.now}")
            self.alerts[new.id] = new

    @rule(who=st.sampled_from(["ada", "bea", "cem", "dot"]))
    def leave(self, who: str) -> None:
        for each in list(self.alerts.values()):
            if each.recipient_id == who and each.is_live:
                self.alerts[each.id] = end(each, Ended.LEFT, self.now)
                self.gone.add(each.id)

    @rule(uid=st.sampled_from("123"), status=st.sampled_from(EvseStatus))
    def say(self, uid: str, status: EvseStatus) -> None:
        id_ = f"{PLACE}-{uid}"
        self.ports[id_] = report(self.ports[id_], status, self.now, self.now)

    @rule(pause=st.sampled_from([SECOND, STABLE, 3 * MINUTE, OFFER, LASTS]))
    def wait(self, pause: int) -> None:
        self.now += pause

    @rule()
    def tick(self) -> None:
        self.ports = {id_: look(each, self.now) for id_, each in self.ports.items()}
        self.alerts = {id_: passed(each, self.now) for id_, each in self.alerts.items()}
        told_before = {(each.recipient_id, each.evse_id, each.epoch) for each in self.heard}
        new = offers(self.ports.values(), self.alerts.values(), self.now)
        live = [each for each in self.alerts.values() if each.state == AlertState.OFFERED]
        free = {(each.id, each.epoch) for each in self.ports.values() if is_free(each)}
        # Never more are told than ports are free.
        offered = [(each.evse_id, each.epoch) for each in new]
        assert len(set(offered)) == len(offered)
        assert set(offered) <= free - {(each.evse_id, each.epoch) for each in live}
        for each in new:
            # Nobody hears twice of one availability, and nobody who has left.
            assert (each.recipient_id, each.evse_id, each.epoch) not in told_before
            assert each.id not in self.gone
            assert each.id not in {other.id for other in self.heard}
            # Nobody overtakes who asked earlier for the same connector, unless that one has heard of this port.
            for other in self.alerts.values():
                if other.state == AlertState.WAITING and other.id not in {served.id for served in new}:
                    assert (
                        other.connector != each.connector
                        or other.place_in_line > each.place_in_line
                        or any(heard[0] == other.recipient_id and heard[1:] in free for heard in told_before)
                    )
        self.alerts |= {each.id: each for each in new}
        self.heard += new

    @invariant()
    def no_port_is_offered_to_two_at_once(self) -> None:
        live = [
            (each.evse_id, each.epoch)
            for each in self.alerts.values()
            if passed(each, self.now).state == AlertState.OFFERED
        ]
        assert len(set(live)) == len(live)

    @invariant()
    def whoever_waits_is_looked_at_in_time(self) -> None:
        for each in self.alerts.values():
            assert each.is_live or each.tell_at is None
            assert next_look(each, self.alerts.values()) <= each.until + (0 if each.is_live else 1 << 40)


TestPlace = Place.TestCase
TestPlace.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_an_alert_that_is_over_stays_as_it_ended() -> None:
    # Given
    left = end(alert("ada"), Ended.LEFT, NOON + MINUTE)
    # Then
    assert end(left, Ended.CHARGING, NOON + 2 * MINUTE) is left
    assert passed(left, NOON + LASTS) is left
    assert msgspec.structs.asdict(left)["until"] == NOON + MINUTE
