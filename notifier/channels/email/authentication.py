"""What the DNS says of the domain that mails come from: SPF, DKIM and DMARC, by which mailbox providers know a sender.

Return paths are of the same domain as the From header, so SPF counts for both, and is aligned (RFC 7489 §3.1.2).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from typing import Final

import dns.asyncresolver
from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration

from notifier.runtime.finding import DoctorFinding

PART: Final = "e-mail"
LIFETIME: Final = 4.0
"""Seconds for an answer of the system's resolvers, which are asked one after the other, first by UDP, then by TCP."""
MAX_LABELS: Final = 8
"""Labels of a name below which a DMARC record is looked for, as receivers do."""

_ALL: Final = re.compile(r"(?:^|\s)([+?~-]?)all(?=\s|$)", re.IGNORECASE)
_SPF: Final = re.compile(r"v=spf1(?:\s|$)", re.IGNORECASE)
_DMARC: Final = re.compile(r"v\s*=\s*DMARC1\s*(?:;|$)")
_POLICY: Final = re.compile(r";\s*p\s*=\s*(none|quarantine|reject)\s*(?:;|$)", re.IGNORECASE)


async def check(domain: str, resolver: dns.asyncresolver.Resolver | None = None) -> AsyncIterator[DoctorFinding]:
    """What mailbox providers find out about a sender's domain, asked of the system's resolvers or of another one."""
    found: Sequence[DoctorFinding]
    try:
        asked = _system() if resolver is None else resolver
        found = await asyncio.gather(_spf(domain, asked), _dkim(domain, asked), _dmarc(domain, asked))
    except (DNSException, OSError) as error:
        which = "this machine has none" if isinstance(error, NoResolverConfiguration) else type(error).__name__
        told = f"SPF, DKIM and DMARC of {domain} are not looked at: no resolver answers ({which})"
        found = [DoctorFinding(PART, "unknown", told)]
    for each in found:
        yield each


def _system() -> dns.asyncresolver.Resolver:
    """The resolvers of this machine; NoResolverConfiguration where it has none."""
    resolver = dns.asyncresolver.Resolver()
    resolver.lifetime = LIFETIME
    return resolver


async def _spf(domain: str, resolver: dns.asyncresolver.Resolver) -> DoctorFinding:
    """The servers that may send for the domain (RFC 7208)."""
    records = [text for text in await _texts(domain, resolver) or () if _SPF.match(text)]
    if not records:
        told = f"{domain} has no SPF record: mailbox providers can't tell that your relay sends for it"
        return DoctorFinding(PART, "missing", told, 'publish a TXT record there, "v=spf1 include:<your relay\'s> -all"')
    if len(records) > 1:
        told = f"{domain} has {len(records)} SPF records, so none counts (RFC 7208 §4.5)"
        return DoctorFinding(PART, "wrong", told, "make one of them")
    ends = _ALL.search(records[0])
    if ends is None and "redirect=" in records[0].lower():
        return DoctorFinding(PART, "good", f"SPF of {domain} is another domain's")
    if ends is None or ends[1] == "?":
        told = f"SPF of {domain} says nothing of servers that it doesn't name"
        return DoctorFinding(PART, "missing", told, "end it with -all, or ~all until you know all of your servers")
    if ends[1] in ("", "+"):
        return DoctorFinding(PART, "wrong", f"SPF of {domain} lets anybody send for it (+all)", "end it with -all")
    return DoctorFinding(PART, "good", f"SPF of {domain} ends with {ends[1]}all")


async def _dkim(domain: str, resolver: dns.asyncresolver.Resolver) -> DoctorFinding:
    """Whether there can be a key: the relay signs, and by which selector isn't known here (RFC 6376 §3.6.2.1).

    A name that has others below it exists, though it has no record of its own (RFC 8020).
    """
    if await _texts(f"_domainkey.{domain}", resolver) is None:
        told = f"{domain} has no DKIM key: nothing exists below _domainkey.{domain}"
        return DoctorFinding(PART, "missing", told, "let your relay sign for the domain, and publish the key it names")
    told = f"DKIM of {domain}: there are keys; which one the relay signs with is not looked at"
    return DoctorFinding(PART, "unknown", told)


async def _dmarc(domain: str, resolver: dns.asyncresolver.Resolver) -> DoctorFinding:
    """What receivers are to do with mails of which neither SPF nor DKIM counts (RFC 7489)."""
    for at in _and_parents(domain):
        records = [text for text in await _texts(f"_dmarc.{at}", resolver) or () if _DMARC.match(text)]
        if len(records) > 1:
            told = f"_dmarc.{at} has {len(records)} DMARC records, so none counts (RFC 7489 §6.6.3)"
            return DoctorFinding(PART, "wrong", told, "make one of them")
        if records:
            policy = _POLICY.search(records[0])
            if policy is None:
                told = f"the DMARC record of {at} has no policy that receivers know"
                return DoctorFinding(PART, "wrong", told, "add p=none, p=quarantine or p=reject")
            return DoctorFinding(PART, "good", f"DMARC of {at}: p={policy[1].lower()}")
    told = f"{domain} has no DMARC record, which large mailbox providers ask of whoever sends many mails"
    return DoctorFinding(PART, "missing", told, f'publish a TXT record _dmarc.{domain}, "v=DMARC1; p=none" to begin')


def _and_parents(domain: str) -> list[str]:
    """A domain and those above it, but no top-level domain."""
    labels = domain.split(".")[-MAX_LABELS:]
    return [domain, *(".".join(labels[at:]) for at in range(1, len(labels) - 1))]


async def _texts(name: str, resolver: dns.asyncresolver.Resolver) -> list[str] | None:
    """The TXT records of a name, None where there is no such name; DNSException or OSError without an answer."""
    try:
        answer = await resolver.resolve(f"{name}.", "TXT")
    except NXDOMAIN:
        return None
    except NoAnswer:
        return []
    return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
