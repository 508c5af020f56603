"""What a product owner says must happen: given this driver, at this local time, this event, then that on each channel.

Each case is a sentence, who the driver is, the time on their wall, the type, and the answer by channel: `now`, `hold
<local time>`, `off <reason>` or `late <reason>`.
"""

from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from notifier import policy
from notifier.domain.catalog import NotificationType
from notifier.domain.clock import DAY, HOUR, MINUTE, SECOND
from notifier.domain.deliveries import Channel, State
from notifier.domain.preferences import Defaults, Preferences, QuietHours
from notifier.domain.regulation import Cap, Regulation, Window
from notifier.policy import ChannelAnswer
from tests.named import EMAIL, PUSH, SMS
from tests.policy.samples import event_of, kind_of, person_of

BERLIN, NEW_YORK, KOLKATA, AUCKLAND = "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"
P, S, E = PUSH, SMS, EMAIL
NIGHT = QuietHours("22:00", "07:00")
SIESTA = QuietHours("13:00", "15:00")

REGULATION = Regulation(
    caps={"offers": Cap(2, "7 d"), "tips": Cap(1, "1 d")},
    per_person=Cap(3, "1 h"),
    windows={
        "default": Window(every="09:00-20:00"),
        "US": Window(every="09:00-20:00", sunday="12:00-20:00"),
        "US-*": Window(every="08:00-21:00"),
        "US-FL": Window(every="08:00-20:00"),
        "US-TX": Window(every="09:00-21:00", sunday="12:00-21:00"),
    },
)

IDLE = kind_of(id="idle-warning", category="idle-fees", channels=(P, S), time_to_live="15 min")
COMPLETE = kind_of(id="charging-complete", category="charging", channels=(P, S), time_to_live="30 min")
RECEIPT = kind_of(id="receipt", class_="transactional", category="receipts", channels=(P, E), time_to_live="7 d")
BLOCKED = kind_of(
    id="blocked", class_="transactional", category="billing", channels=(P, E, S), time_to_live="24 h",
    through_quiet_hours=True,
)  # fmt: skip
LOGIN = kind_of(id="new-login", class_="security", category="security", channels=(P, E, S), time_to_live="1 d")
OFFER = kind_of(id="offer", class_="marketing", category="offers", channels=(E, P), time_to_live="14 d")
SHORT_OFFER = kind_of(id="flash", class_="marketing", category="offers", channels=(P,), time_to_live="1 h")
HELD_OFFER = kind_of(
    id="held-offer", class_="marketing", category="offers", channels=(E,), time_to_live="14 d", over_cap="hold"
)
TIP = kind_of(id="tip", class_="service", category="tips", channels=(P,), time_to_live="14 d")
TURN = kind_of(id="your-turn", category="waitlist", channels=(P, S), time_to_live="5 min", fallback="20 s")
FAULT = kind_of(id="fault", category="operations", channels=(E, S), time_to_live="7 d", off_by_default=(S,))

YES = {"offers": {"email": True, "push": True, "sms": True}}
GIVEN_ALL: dict[str, Any] = {"time_zone": BERLIN}


class Told(NamedTuple):
    """One case."""

    words: str
    who: dict[str, Any]
    at: str
    kind: NotificationType
    then: dict[Channel, str]


def prefers(**chosen: Any) -> Preferences:
    return Preferences(**chosen)


def off(**reasons: str) -> dict[Channel, str]:
    return {Channel(channel): f"off {reason}" for channel, reason in reasons.items()}


def everywhere(kind: NotificationType, answer: str) -> dict[Channel, str]:
    return dict.fromkeys(kind.channels, answer)


NOON, NIGHT_TIME = "2026-03-10 12:00", "2026-03-10 23:10"

CASES = [
    Told("who never chose anything hears of a full car by push and text", GIVEN_ALL, NOON, COMPLETE,
         {P: "now", S: "now"}),
    Told("even at night, if they set no quiet hours", GIVEN_ALL, NIGHT_TIME, COMPLETE, {P: "now", S: "now"}),
    Told("no app on any phone: the text alone", {"devices": 0}, NOON, COMPLETE, {P: "off no_address", S: "now"}),
    Told("no number: the push alone", {"phone": None}, NOON, COMPLETE, {P: "now", S: "off no_address"}),
    Told("two phones: a push to each", {"devices": 2}, NOON, COMPLETE, {P: "now", S: "now"}),
    Told("nothing to reach them by", {"phone": None, "devices": 0}, NOON, COMPLETE, everywhere(COMPLETE, "off no_address")),
    # The grid
    Told("texts about charging are off", {"preferences": prefers(switches={"charging": {"sms": False}})}, NOON, COMPLETE,
         {P: "now", S: "off switched_off"}),
    Told("but those about idle fees still come", {"preferences": prefers(switches={"charging": {"sms": False}})}, NOON, IDLE,
         {P: "now", S: "now"}),
    Told("the whole category is off", {"preferences": prefers(categories={"charging": False})}, NOON, COMPLETE,
         everywhere(COMPLETE, "off switched_off")),
    Told("the category is off, but its push was switched on by itself",
         {"preferences": prefers(categories={"charging": False}, switches={"charging": {"push": True}})}, NOON, COMPLETE,
         {P: "now", S: "off switched_off"}),
    Told("all texts are off", {"preferences": prefers(channels={"sms": False})}, NOON, COMPLETE,
         {P: "now", S: "off switched_off"}),
    Told("all texts are off, but not those of this category",
         {"preferences": prefers(channels={"sms": False}, categories={"idle-fees": True})}, NOON, IDLE, {P: "now", S: "now"}),
    Told("everything is off", {"preferences": prefers(everything=False)}, NOON, COMPLETE,
         everywhere(COMPLETE, "off switched_off")),
    Told("everything off stands over a cell that is on",
         {"preferences": prefers(everything=False, switches={"charging": {"push": True}})}, NOON, COMPLETE,
         everywhere(COMPLETE, "off switched_off")),
    Told("everything is off, but somebody signed in to their account", {"preferences": prefers(everything=False)}, NOON, LOGIN,
         everywhere(LOGIN, "now")),
    Told("security can't be switched off by its cell", {"preferences": prefers(switches={"security": {"email": False}})}, NOON,
         LOGIN, everywhere(LOGIN, "now")),
    Told("security wakes people up", {"preferences": prefers(quiet_hours=NIGHT)}, NIGHT_TIME, LOGIN, everywhere(LOGIN, "now")),
    # What the type presets
    Told("operators get mail about faults, and no text unless they ask", {}, NOON, FAULT, {E: "now", S: "off switched_off"}),
    Told("and the text, once they switched it on", {"preferences": prefers(switches={"operations": {"sms": True}})}, NOON, FAULT,
         {E: "now", S: "now"}),
    # Tenants
    Told("the fleet presets no texts", {"defaults": (("fleet:acme", Defaults(channels={"sms": False})),)}, NOON, COMPLETE,
         {P: "now", S: "off switched_off"}),
    Told("the driver's own word goes before the fleet's",
         {"defaults": (("fleet:acme", Defaults(channels={"sms": False})),), "preferences": prefers(channels={"sms": True})},
         NOON, COMPLETE, {P: "now", S: "now"}),
    Told("unless the fleet locked it",
         {"defaults": (("fleet:acme", Defaults(switches={"charging": {"sms": False}}, locked={"charging": ["sms"]})),),
          "preferences": prefers(switches={"charging": {"sms": True}})}, NOON, COMPLETE, {P: "now", S: "off switched_off"}),
    Told("a locked row that is on can't be switched off",
         {"defaults": (("network", Defaults(categories={"charging": True}, locked={"charging": []})),),
          "preferences": prefers(categories={"charging": False})}, NOON, COMPLETE, {P: "now", S: "now"}),
    Told("not even by switching everything off",
         {"defaults": (("network", Defaults(categories={"charging": True}, locked={"charging": []})),),
          "preferences": prefers(everything=False)}, NOON, COMPLETE, {P: "now", S: "now"}),
    Told("the nearest tenant goes before the network",
         {"defaults": (("fleet:acme", Defaults(channels={"sms": True})), ("network", Defaults(channels={"sms": False})))},
         NOON, COMPLETE, {P: "now", S: "now"}),
    Told("where the nearest says nothing the network does",
         {"defaults": (("fleet:acme", Defaults(channels={"email": True})), ("network", Defaults(channels={"sms": False})))},
         NOON, COMPLETE, {P: "now", S: "off switched_off"}),
    Told("a fleet's lock does not keep security back",
         {"defaults": (("fleet:acme", Defaults(categories={"security": False}, locked={"security": []})),)}, NOON, LOGIN,
         everywhere(LOGIN, "now")),
    Told("the host's quiet hours hold for who set none",
         {"defaults": (("host:mall", Defaults(quiet_hours=NIGHT)),)}, NIGHT_TIME, RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    # Addresses that are not to be written to
    Told("they texted STOP", {"suppressed": {"sms": "stopped"}}, NOON, COMPLETE, {P: "now", S: "off stopped"}),
    Told("STOP stands over a switch that is on",
         {"suppressed": {"sms": "stopped"}, "preferences": prefers(switches={"charging": {"sms": True}})}, NOON, COMPLETE,
         {P: "now", S: "off stopped"}),
    Told("STOP stands over a fleet's locked row",
         {"suppressed": {"sms": "stopped"},
          "defaults": (("fleet:acme", Defaults(categories={"charging": True}, locked={"charging": []})),)}, NOON, COMPLETE,
         {P: "now", S: "off stopped"}),
    Told("STOP stands over security, which comes by push and mail", {"suppressed": {"sms": "stopped"}}, NOON, LOGIN,
         {P: "now", E: "now", S: "off stopped"}),
    Told("their mailbox bounced", {"suppressed": {"email": "bounced"}}, NOON, RECEIPT, {P: "now", E: "off bounced"}),
    Told("their number is no number", {"suppressed": {"sms": "bad_number"}}, NOON, IDLE, {P: "now", S: "off bad_number"}),
    # Quiet hours of their own
    Told("quiet from ten to seven: a receipt waits until seven", {"preferences": prefers(quiet_hours=NIGHT)}, NIGHT_TIME,
         RECEIPT, everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    Told("after midnight it is still quiet", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-11 02:00", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    Told("at seven it is not quiet any more", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-11 07:00", RECEIPT,
         everywhere(RECEIPT, "now")),
    Told("a minute before ten it is not quiet yet", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-10 21:59", RECEIPT,
         everywhere(RECEIPT, "now")),
    Told("at ten it is", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-10 22:00", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    Told("a siesta is quiet as well", {"preferences": prefers(quiet_hours=SIESTA)}, "2026-03-10 13:30", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-10 15:00")),
    Told("quiet hours of no length are none", {"preferences": prefers(quiet_hours=QuietHours("22:00", "22:00"))}, NIGHT_TIME,
         RECEIPT, everywhere(RECEIPT, "now")),
    Told("a full car is of no use in the morning: it is not kept", {"preferences": prefers(quiet_hours=NIGHT)}, NIGHT_TIME,
         COMPLETE, everywhere(COMPLETE, "late quiet_hours")),
    Told("six minutes before seven it still is", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-11 06:54", COMPLETE,
         everywhere(COMPLETE, "hold 2026-03-11 07:00")),
    Told("money is at stake: a blocked account is told at night", {"preferences": prefers(quiet_hours=NIGHT)}, NIGHT_TIME,
         BLOCKED, everywhere(BLOCKED, "now")),
    Told("quiet hours go by the driver's zone, not the network's",
         {"preferences": prefers(quiet_hours=NIGHT), "time_zone": KOLKATA}, "2026-03-10 23:10", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    Told("the zone they chose goes before the one on file",
         {"preferences": prefers(quiet_hours=NIGHT, time_zone=AUCKLAND), "time_zone": AUCKLAND}, "2026-03-10 23:10", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-11 07:00")),
    Told("the night the clocks go forward is an hour shorter", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-03-28 23:30",
         RECEIPT, everywhere(RECEIPT, "hold 2026-03-29 07:00")),
    Told("quiet until half past two, which that night does not have: until three",
         {"preferences": prefers(quiet_hours=QuietHours("22:00", "02:30"))}, "2026-03-28 23:30", RECEIPT,
         everywhere(RECEIPT, "hold 2026-03-29 03:00")),
    Told("the night they go back is an hour longer", {"preferences": prefers(quiet_hours=NIGHT)}, "2026-10-24 23:30", RECEIPT,
         everywhere(RECEIPT, "hold 2026-10-25 07:00")),
    # Marketing
    Told("no consent, no offer", {}, NOON, OFFER, everywhere(OFFER, "off no_consent")),
    Told("consent to mail is none to push", {"consents": {"offers": {"email": True}}}, NOON, OFFER,
         {E: "now", P: "off no_consent"}),
    Told("consent to another category is none to this one", {"consents": {"news": {"email": True}}}, NOON, OFFER,
         everywhere(OFFER, "off no_consent")),
    Told("consent taken back", {"consents": {"offers": {"email": False, "push": True}}}, NOON, OFFER,
         {E: "off no_consent", P: "now"}),
    Told("consent given, but the category is switched off",
         {"consents": YES, "preferences": prefers(categories={"offers": False})}, NOON, OFFER,
         everywhere(OFFER, "off switched_off")),
    Told("an offer at night waits until nine", {"consents": YES}, NIGHT_TIME, OFFER, everywhere(OFFER, "hold 2026-03-11 09:00")),
    Told("at eight in the morning, too", {"consents": YES}, "2026-03-10 08:00", OFFER, everywhere(OFFER, "hold 2026-03-10 09:00")),
    Told("at eight in the evening it is too late", {"consents": YES}, "2026-03-10 20:00", OFFER,
         everywhere(OFFER, "hold 2026-03-11 09:00")),
    Told("an offer that ends tonight is not sent tomorrow", {"consents": YES}, "2026-03-10 20:30", SHORT_OFFER,
         {P: "late legal_window"}),
    Told("late risers: quiet until eleven goes beyond the window's nine",
         {"consents": YES, "preferences": prefers(quiet_hours=QuietHours("22:00", "11:00"))}, NIGHT_TIME, OFFER,
         everywhere(OFFER, "hold 2026-03-11 11:00")),
    Told("early risers: quiet until six, the window opens at nine",
         {"consents": YES, "preferences": prefers(quiet_hours=QuietHours("21:00", "06:00"))}, NIGHT_TIME, OFFER,
         everywhere(OFFER, "hold 2026-03-11 09:00")),
    Told("quiet whenever the window is open: it can never be sent",
         {"consents": YES, "preferences": prefers(quiet_hours=QuietHours("08:00", "21:00"))}, NOON, OFFER,
         everywhere(OFFER, "late legal_window")),
    Told("California from eight on", {"consents": YES, "region": "US-CA", "time_zone": NEW_YORK}, "2026-03-10 08:00", OFFER,
         everywhere(OFFER, "now")),
    Told("Florida until eight in the evening", {"consents": YES, "region": "US-FL", "time_zone": NEW_YORK}, "2026-03-10 20:00",
         OFFER, everywhere(OFFER, "hold 2026-03-11 08:00")),
    Told("Texas on a Sunday from noon", {"consents": YES, "region": "US-TX", "time_zone": "America/Chicago"},
         "2026-03-15 09:30", OFFER, everywhere(OFFER, "hold 2026-03-15 12:00")),
    Told("Texas on a Saturday night: Sunday noon", {"consents": YES, "region": "US-TX", "time_zone": "America/Chicago"},
         "2026-03-14 21:00", OFFER, everywhere(OFFER, "hold 2026-03-15 12:00")),
    Told("somewhere in the States: the narrowest window", {"consents": YES, "region": "US", "time_zone": NEW_YORK},
         "2026-03-10 08:30", OFFER, everywhere(OFFER, "hold 2026-03-10 09:00")),
    Told("a receipt has no legal hours", {}, NIGHT_TIME, RECEIPT, everywhere(RECEIPT, "now")),
    # Caps
    Told("the second offer of the week comes", {"consents": YES, "ago": {"offers": [3 * DAY]}}, NOON, OFFER,
         everywhere(OFFER, "now")),
    Told("the third does not", {"consents": YES, "ago": {"offers": [6 * DAY, 3 * DAY]}}, NOON, OFFER,
         everywhere(OFFER, "off over_cap")),
    Told("eight days later it does", {"consents": YES, "ago": {"offers": [8 * DAY, 3 * DAY]}}, NOON, OFFER,
         everywhere(OFFER, "now")),
    Told("one that may wait does so until the first is a week old", {"consents": YES, "ago": {"offers": [6 * DAY, DAY]}}, NOON,
         HELD_OFFER, {E: "hold 2026-03-11 12:00"}),
    Told("and then until the window opens", {"consents": YES, "ago": {"offers": [7 * DAY - 10 * HOUR, DAY]}}, NOON, HELD_OFFER,
         {E: "hold 2026-03-11 09:00"}),
    Told("tips come once a day", {"ago": {"tips": [2 * HOUR]}}, NOON, TIP, {P: "off over_cap"}),
    Told("offers don't count to the tips", {"ago": {"offers": [HOUR, HOUR]}}, NOON, TIP, {P: "now"}),
    Told("who has heard three times in the hour hears no more", {"ago": {"type:*": [HOUR - 1, MINUTE, 1]}}, NOON, IDLE,
         everywhere(IDLE, "off over_cap")),
    Told("an hour after the first they do", {"ago": {"type:*": [HOUR, MINUTE, 1]}}, NOON, IDLE, everywhere(IDLE, "now")),
    Told("an alarm comes however much there was", {"ago": {"type:*": [MINUTE] * 9}}, NOON, LOGIN, everywhere(LOGIN, "now")),
    # One channel after the other
    Told("your turn: push now, and a text in twenty seconds", {}, NOON, TURN, {P: "now", S: "hold 2026-03-10 12:00:20"}),
    Told("no app: the text at once", {"devices": 0}, NOON, TURN, {P: "off no_address", S: "now"}),
    Told("push switched off: the text at once", {"preferences": prefers(channels={"push": False})}, NOON, TURN,
         {P: "off switched_off", S: "now"}),
    # Useful life
    Told("what happened an hour ago is no news", {"ago_event": HOUR}, NOON, COMPLETE, everywhere(COMPLETE, "late expired")),
    Told("what happened just within its time is", {"ago_event": 30 * MINUTE - SECOND}, NOON, COMPLETE, {P: "now", S: "now"}),
    Told("a step that would come after the end is not waited for", {"ago_event": 5 * MINUTE - 10 * SECOND}, NOON, TURN,
         {P: "now", S: "late waits_turn"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.words for case in CASES])
def test_what_a_product_owner_says(case: Told) -> None:
    # Given this driver, at this time on their wall
    who = dict(case.who)
    zone = who.setdefault("time_zone", BERLIN)
    now = instant(case.at, zone)
    who["sends_in_window"] = {name: tuple(now - each for each in ago) for name, ago in who.pop("ago", {}).items()}
    happened = now - who.pop("ago_event", 0)

    # When this happens
    answers = policy.decide(case.kind, event_of(happened, happened), person_of(**who), now, REGULATION)

    # Then this comes of it
    assert {answer.channel: told(answer, now, zone) for answer in answers} == {
        channel: expected(words, zone) for channel, words in case.then.items()
    }


def test_there_are_as_many_cases_as_there_should_be_and_no_two_are_alike() -> None:
    assert len(CASES) >= 60
    assert len({case.words for case in CASES}) == len(CASES)


def test_whoever_is_on_call_next_waits_a_turn_longer() -> None:
    kind = kind_of(channels=(S,), escalation="10 min", time_to_live="2 h")
    now = instant(NOON, BERLIN)

    dues = [policy.decide(kind, event_of(now, now), person_of(), now, REGULATION, turn)[0].due_at for turn in range(3)]

    assert [due - now for due in dues] == [0, 10 * MINUTE, 20 * MINUTE]


def told(answer: ChannelAnswer, now: int, zone: str) -> str:
    match answer.state:
        case State.PENDING if answer.due_at == now:
            return "now"
        case State.PENDING:
            return f"hold {answer.due_at}"
        case State.SUPPRESSED:
            return f"off {answer.reason}"
        case _:
            return f"late {answer.reason}"


def expected(words: str, zone: str) -> str:
    kind, _, at = words.partition(" ")
    return f"hold {instant(at, zone)}" if kind == "hold" else words


def instant(shown: str, zone: str) -> int:
    return round(datetime.fromisoformat(shown).replace(tzinfo=ZoneInfo(zone)).timestamp() * SECOND)
