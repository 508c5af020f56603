"""Every page as people read it, on a running system: values in words, names as headings, clocks with their zone."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
import sqlalchemy as sa

from notifier.client import AsyncProducer
from notifier.console.app import SCREENS
from notifier.demo.local import LocalSystem
from notifier.domain.experiments import Arm
from notifier.domain.messages import Device
from notifier.domain.preferences import PreferencesPatch, QuietHours
from notifier.domain.recipients import RecipientDetails
from notifier.domain.users import PERMISSIONS, Role, User
from notifier.store.console import users
from notifier.store.core.schema import open_event
from notifier.store.core.status import rendered as delivery
from notifier.store.people import recipients
from tests.console import trials
from tests.console.conftest import Visitor, password_hash
from tests.console.words import EDIT, SHORT, TYPE, hidden, says
from tests.samples import CATALOG

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

PATIENCE = 30.0  # seconds for what workers do on a busy machine
NUMBER = "+4915112345678"
ADA_ZONE, BO_ZONE = "Europe/Berlin", "America/New_York"

VERBATIM = {"pre", "code", "textarea", "option", "script", "style", "input"}
"""What holds somebody's own words or data, letter by letter."""
VOID = {"input", "br", "img", "meta", "link", "hr", "rect"}
BARE = {"None", "True", "False", "yes", "no", "null", "true", "false"}
_AMONG = re.compile(r"[:;,=] ?(None|True|False|yes|no|null)(?=[;,.]|$)")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+|.*\b[0-9a-f]{8,}\b.*")
_TIME = re.compile(r"\d{2}:\d{2}:\d{2}")
_LABELLED = re.compile(r"\d{2}:\d{2}:\d{2}(Z| UTC| in [A-Z]\w+/\w+)")


class Reading(HTMLParser):
    """The texts of a page, each with the elements that it is within; data and words of others left out."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._within: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            while self._within.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not VERBATIM & set(self._within):
            self.texts.append((self._within[-1] if self._within else "", " ".join(data.split())))


def faults(page: str) -> Iterator[str]:
    """What stands on a page that no person should have to read."""
    for tag, text in Reading(page).texts:
        if text in BARE or _AMONG.search(text):
            yield f"a bare value: {text!r} in <{tag}>"
        if tag in ("h1", "h2", "h3", "title") and _SLUG.fullmatch(text.removesuffix(" · notifier")):
            yield f"a name of ours as a heading: {text!r} in <{tag}>"
        if len(_TIME.findall(text)) != len(_LABELLED.findall(text)):
            yield f"a time of nobody's clock: {text!r} in <{tag}>"


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(
    "odd",
    [
        "<dd>None</dd>", "<td>True</td>", "<strong> no </strong>", "<dd>quiet hours: None; everything: on</dd>",
        "<h1>charging-complete</h1>", "<title>Event 1b79ef60 · notifier</title>", "<time>2026-03-09 17:40:00</time>",
    ],
)  # fmt: skip
async def test_the_walk_finds_what_it_is_for(odd: str) -> None:
    assert len(list(faults(f"<main><p>Yes and none, at 17:40:00 UTC</p>{odd}</main>"))) == 1


QUIET = PreferencesPatch(
    quiet_hours=QuietHours("00:00", "23:59"), channels={"email": False}, switches={"charging": {"push": False}}
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalSystem]:
    """The system with a driver who gets everything, one who wants nothing, and messages of both: arrived and dead."""
    async with LocalSystem(tmp_path_factory.mktemp("words"), {"worker_processes": 1}) as system:
        now = system.clock.now()
        for role in Role:
            user = User(name=role, role=role, password_hash=password_hash(), created_at=now)
            await users.add(system.database, user, "cli:test")
        ada = RecipientDetails(
            name="Ada", phone=NUMBER, email="ada@example.com", locale="de", time_zone=ADA_ZONE,
            devices=[Device(value="t-1")],
        )  # fmt: skip
        bo = RecipientDetails(name="Bo", phone="+15005550006", time_zone=BO_ZONE, preferences=QUIET)
        await recipients.put(system.database, {"ada": ada, "bo": bo}, now)
        async with aiohttp.ClientSession(system.sandbox_url) as session:
            refusal = {"channel": "sms", "action": "fail", "code": 20001, "status": 400}
            await session.post("/sandbox/faults", json=[refusal])
        async with AsyncProducer(system.settings.public_url, system.key, "billing") as producer:
            for driver in ("ada", "bo"):
                for kind in CATALOG.types.values():
                    data = dict(kind.samples[0].data)
                    if kind.audience == "driver":
                        await producer.send(kind.event, {**data, "driver_id": driver}, id=f"{driver}-{kind.id}")
        async with asyncio.timeout(PATIENCE):
            left = 1
            while left:
                await asyncio.sleep(0.05)
                left = await underway(system)
        await trials.run(system.database, now, 3, {"control": 0.3, "later": 0.6}, later=Arm(later="1 min"))
        yield system


async def underway(system: LocalSystem) -> int:
    """Events that wait for their decision, and deliveries that are due."""
    due = (delivery.c.state.in_(("pending", "sending")), delivery.c.due_at <= system.clock.now())
    async with system.database.engine.connect() as connection:
        undecided = await connection.scalar(sa.select(sa.func.count()).select_from(open_event))
        unsent = await connection.scalar(sa.select(sa.func.count()).where(*due))
    return int(undecided or 0) + int(unsent or 0)


async def entered(system: LocalSystem, session: aiohttp.ClientSession, role: str) -> Visitor:
    visitor = Visitor(system.settings.public_url, cast("Any", None), session)
    assert (await visitor.sign_in(role)).status == 303
    return visitor


async def named(visitor: Visitor) -> dict[str, list[str]]:
    """What the parameters of screens' paths can be."""
    found: dict[str, list[str]] = {
        "type": list(CATALOG.types),
        "name": [*Role],
        "number": ["1"],
        "experiment": ["please"],
    }
    deliveries: dict[str, None] = {}
    for channel in ("push", "sms", "email"):
        page = (await visitor.get(f"/activity?channel={channel}")).body
        deliveries |= dict.fromkeys(re.findall("/console/deliveries/([0-9a-f]{32})", page)[:6])
    found["delivery"] = list(deliveries)
    of = [(await visitor.get(f"/deliveries/{each}")).body for each in found["delivery"]]
    found["event"] = [match[1] for page in of if (match := re.search("/console/events/([0-9a-f]{32})", page))]
    return found


def paths(names: dict[str, list[str]]) -> Iterator[str]:
    """Every page that can be opened by its address, of every screen."""
    for screen in SCREENS:
        if screen.method != "GET" or screen.path.endswith("/live") or screen.path.startswith("/static"):
            continue
        parameter = re.search(r"{(\w+)(?::\w+)?}", screen.path)
        if parameter is None:
            yield screen.path
        elif parameter[1] == "id":
            of = "delivery" if screen.path.startswith("/deliveries") else "event"
            yield from (screen.path.replace("{id}", each) for each in names[of])
        elif "{number}" in screen.path:
            yield screen.path.replace("{type}", TYPE).replace("{number}", "1")
        else:
            yield from (screen.path.replace(parameter[0], each) for each in names[parameter[1]])
    yield from ("/activity?recipient=ada", "/activity?recipient=bo", "/activity?state=suppressed", "/search?q=nobody")
    step = f"/experiments-new?type={trials.TYPE}&why=a&name_0=control&name_1=later&later_1=1+min&step="
    yield from (f"{step}{number}&do=next" for number in range(1, 5))
    for each in names["event"]:
        yield from (f"/events/{each}?recipient={who}" for who in ("ada", "bo", "nobody"))
    for kind in CATALOG.types.values():
        yield from (f"/types/{kind.id}/edit?channel={channel}" for channel in kind.channels)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN])
async def test_no_page_shows_a_value_of_the_code_a_name_of_ours_as_its_heading_or_a_clock_of_nobody(
    system: LocalSystem, role: Role
) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        # Given somebody who has a draft and a version before them, where their role may make one
        visitor = await entered(system, session, role)
        if "publish" in PERMISSIONS[role]:
            await published(visitor)

        # When they open every page that there is, and ask what if of every sample
        names = await named(visitor)
        assert min(map(len, names.values())) > 0
        pages = {path: await visitor.get(path) for path in paths(names)}
        for kind in CATALOG.types.values():
            for sample in kind.samples:
                for who in ("ada", "bo"):
                    asked = f"{kind.id}/{sample.name}"
                    pages[f"/why {asked} {who}"] = await visitor.post("/why", event=asked, recipient=who)

        # Then nothing of the code's own shows
        found = {where: told for where, answer in pages.items() if (told := sorted(set(faults(answer.body))))}
        assert not found, "\n".join(f"{where}: {told}" for where, told in found.items())
        opened = [where for where, answer in pages.items() if answer.status == 200]
        assert len(opened) > len(pages) / 2

        # And what decided comes first, before every rule
        decided = [answer.body for where, answer in pages.items() if where.startswith(("/why ", "/deliveries/"))]
        assert sum("Decided by" in body for body in decided) > len(decided) / 2
        for body in decided:
            for answer in re.findall(r'<section class="answer">(.*?)</section>', body, re.DOTALL):
                if "All rules" in answer:
                    assert 0 < answer.find("Decided by") < answer.find("All rules")


async def test_a_page_about_one_person_tells_times_by_their_clock_beside_utc(system: LocalSystem) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        visitor = await entered(system, session, "viewer")
        for who, zone in (("ada", ADA_ZONE), ("bo", BO_ZONE)):
            activity = await visitor.get(f"/activity?recipient={who}")
            delivery = re.search("/console(/deliveries/[0-9a-f]{32})", activity.body)
            assert delivery
            for page in (activity, await visitor.get(delivery[1])):
                assert re.search(rf"\d UTC ?,( \d{{4}}-\d\d-\d\d)? \d\d:\d\d:\d\d in {zone}", says(page)), (who, zone)
        assert f"in {ADA_ZONE}" not in says(await visitor.get("/activity"))


async def published(visitor: Visitor) -> None:
    """A version of German texts and, after it, a draft of others."""
    for text in (SHORT, SHORT + " Danke."):
        page = (await visitor.get(EDIT)).body
        assert (await visitor.post(f"/types/{TYPE}/edit", **hidden(page), text=text)).status == 303
        if text == SHORT:
            form = (await visitor.get(f"/types/{TYPE}/publish")).body
            given = dict(re.findall(r'name="(revision|live)" value="(\d+)"', form))
            answer = await visitor.post(f"/types/{TYPE}/publish", **given, why="shorter")
            assert answer.status == 303, says(answer)
