"""What the doctor finds out of the DNS about the domain that mails come from."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.asyncresolver import Resolver

from notifier.channels.email.authentication import check
from notifier.runtime.finding import DoctorFinding

DOMAIN = "mail.voltline.example"
SPF, DKIM, DMARC = DOMAIN, f"k1._domainkey.{DOMAIN}", f"_dmarc.{DOMAIN}"
GOOD = {SPF: ["v=spf1 include:relay.example -all"], DKIM: ["v=DKIM1; p=MIIB"], DMARC: ["v=DMARC1; p=reject"]}

Answer = Callable[[dns.message.QueryMessage], bytes | None]


class Names(asyncio.DatagramProtocol):
    """A name server that answers each datagram, or not."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        assert isinstance(query, dns.message.QueryMessage)
        told = self._answer(query)
        if told is not None:
            self._transport.sendto(told, addr)


def zone(records: Mapping[str, list[str]]) -> Answer:
    """Answers by TXT records; a name that only has others below it exists, without a record (RFC 8020)."""

    def answer(query: dns.message.QueryMessage) -> bytes:
        name = query.question[0].name
        asked = name.to_text(omit_final_dot=True)
        reply = dns.message.make_response(query)
        if texts := records.get(asked):
            quoted = [f'"{text[:9]}" "{text[9:]}"' for text in texts]  # a text is several strings where it is long
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *quoted))
        elif not any(f".{each}".endswith(f".{asked}") for each in records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    return answer


def failing(query: dns.message.QueryMessage) -> bytes:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.SERVFAIL)
    return reply.to_wire()


@asynccontextmanager
async def resolver(answer: Answer) -> AsyncIterator[Resolver]:
    """A resolver that asks a name server on this machine."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Names(answer), local_addr=("127.0.0.1", 0))
    asking = Resolver(configure=False)
    asking.nameservers, asking.port = ["127.0.0.1"], transport.get_extra_info("sockname")[1]
    try:
        yield asking
    finally:
        transport.close()


async def findings(answer: Answer) -> list[DoctorFinding]:
    async with resolver(answer) as asking:
        return [each async for each in check(DOMAIN, asking)]


async def test_a_domain_that_has_all_is_good_and_the_relays_key_is_said_to_be_unknown() -> None:
    spf, dkim, dmarc = await findings(zone(GOOD))

    assert (spf.verdict, spf.told) == ("good", f"SPF of {DOMAIN} ends with -all")
    assert (dkim.verdict, "is not looked at" in dkim.told) == ("unknown", True)
    assert (dmarc.verdict, dmarc.told) == ("good", f"DMARC of {DOMAIN}: p=reject")


@pytest.mark.parametrize("records", [{}, {DOMAIN: ["google-site-verification=1"]}])
async def test_a_domain_that_has_nothing_is_told_what_is_missing(records: dict[str, list[str]]) -> None:
    found = await findings(zone(records))

    assert [each.verdict for each in found] == ["missing"] * 3
    assert all(each.way_out for each in found)


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        (["v=spf1 mx ~all", "verification=1"], "good"),
        (["V=SPF1 redirect=_spf.relay.example"], "good"),
        (["v=spf1 include:relay.example"], "missing"),
        (["v=spf1 mx ?all"], "missing"),
        (["v=spf1 include:wall.example include:all.example"], "missing"),
        (["v=spf1 +all"], "wrong"),
        (["v=spf1 mx all"], "wrong"),
        (["v=spf1 mx -all", "v=spf1 a -all"], "wrong"),
        (["v=spf10 mx -all"], "missing"),
    ],
)
async def test_a_spf_record_is_held_against_what_receivers_make_of_it(records: list[str], verdict: str) -> None:
    spf, *_ = await findings(zone({**GOOD, SPF: records}))

    assert spf.verdict == verdict


@pytest.mark.parametrize(
    ("records", "verdict"),
    [
        ({DMARC: ["v=DMARC1;p=none; rua=mailto:a@voltline.example"]}, "good"),
        ({"_dmarc.voltline.example": ["v=DMARC1; sp=none; p=Quarantine"]}, "good"),
        ({"_dmarc.example": ["v=DMARC1; p=reject"]}, "missing"),
        ({DMARC: ["v=DMARC1; rua=mailto:a@voltline.example"]}, "wrong"),
        ({DMARC: ["v=DMARC1; p=block"]}, "wrong"),
        ({DMARC: ["v=DMARC1; sp=reject"]}, "wrong"),
        ({DMARC: ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}, "wrong"),
    ],
)
async def test_a_dmarc_record_is_the_domains_or_one_above_it(records: dict[str, list[str]], verdict: str) -> None:
    *_, dmarc = await findings(zone({SPF: GOOD[SPF], DKIM: GOOD[DKIM], **records}))

    assert dmarc.verdict == verdict


async def test_a_resolver_that_fails_is_told_as_what_it_is_and_nothing_is_said_to_be_wrong() -> None:
    (found,) = await findings(failing)

    assert found.verdict == "unknown"
    assert "no resolver answers (NoNameservers)" in found.told


async def test_a_resolver_that_is_silent_is_asked_for_no_longer_than_its_time() -> None:
    async with resolver(lambda _: None) as asking:
        asking.lifetime = 0.2
        (found,) = [each async for each in check(DOMAIN, asking)]

    assert (found.verdict, "no resolver answers (LifetimeTimeout)" in found.told) == ("unknown", True)
