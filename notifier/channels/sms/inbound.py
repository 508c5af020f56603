"""Texts that people send us: STOP, START and HELP (twilio.com/docs/messaging/guides/webhook-request).

A keyword counts if it is the whole text. STOP also counts with a typo, and among a few words that all belong to an
opt-out ("please stop texting me"): an opt-out is valid in any reasonable form (47 CFR 64.1200(a)(10)). Any other word,
every "don't", "not" or "charging", makes it an ordinary text: whoever asks for less of one thing has not opted out of
everything.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from xml.sax.saxutils import escape

import msgspec

from notifier.domain.gsm7 import to_gsm7
from notifier.domain.messages import Private

MAX_TEXT: Final = 200
"""Characters of a text that are read: no keyword is longer, even with all the punctuation of an angry person."""


class Keyword(StrEnum):
    """The request of an incoming text."""

    STOP = "STOP"
    START = "START"
    HELP = "HELP"


WORDS: Final[Mapping[str, Keyword]] = {
    **dict.fromkeys(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out"), Keyword.STOP
    ),
    **dict.fromkeys(("start", "unstop", "yes"), Keyword.START),
    "help": Keyword.HELP,
}

ANSWERS: Final[Mapping[str, Mapping[Keyword, str]]] = {
    "en": {
        Keyword.STOP: "{brand}: You will get no more texts from us. Reply START to get them again.",
        Keyword.START: "{brand}: You will get our texts again. Reply STOP to end them.",
        Keyword.HELP: "{brand}: We text you about your charging. Reply STOP to end this. More at {url}",
    },
    "de": {
        Keyword.STOP: "{brand}: Sie erhalten keine SMS mehr von uns. Mit der Antwort START erhalten Sie sie wieder.",
        Keyword.START: "{brand}: Sie erhalten wieder SMS von uns. Mit der Antwort STOP beenden Sie das.",
        Keyword.HELP: "{brand}: Wir schreiben Ihnen zu Ihren Ladevorgängen. Antwort STOP beendet das. Mehr: {url}",
    },
    "fr": {
        Keyword.STOP: (
            "{brand} : vous ne recevrez plus de SMS de notre part. Répondez START pour en recevoir à nouveau."
        ),
        Keyword.START: "{brand} : vous recevrez à nouveau nos SMS. Répondez STOP pour ne plus en recevoir.",
        Keyword.HELP: "{brand} : nos SMS concernent vos recharges. Répondez STOP pour les arrêter. Infos : {url}",
    },
    "es": {
        Keyword.STOP: "{brand}: ya no le enviaremos SMS. Responda START para volver a recibirlos.",
        Keyword.START: "{brand}: volvemos a enviarle SMS. Responda STOP para dejar de recibirlos.",
        Keyword.HELP: "{brand}: le escribimos sobre sus recargas. Responda STOP para dejar de recibirlo. Info: {url}",
    },
}
"""By language; one segment each. Carriers ask for the English words, whatever the language around them."""

MAX_WORDS: Final = 6
"""Words of a text that asks for an end in a sentence: a longer text has something else to say."""

MISSPELT: Final = ("stop", "stopall", "unsubscribe", "optout")
"""Keywords that count even with a typo. The others (end, cancel, quit …) are too near to words with other meanings."""

_POLITE: Final = "please pls plz kindly thanks thank you bitte danke svp merci gracias por favor"
_OBJECT: Final = (
    "texting messaging contacting writing sending text texts message messages msg msgs sms "
    "me us my number phone all the these your more any to from"
)
AROUND_STOP: Final = frozenset(f"{_POLITE} {_OBJECT}".split())
"""Words that may stand beside STOP: politeness, what should stop and for whom. No "it", "this" or "now", which may mean
the charging; and no negation."""

_LETTERS: Final = re.compile(r"[^\W_]+")
_DOUBLED: Final = re.compile(r"(.)\1+")
_LONG: Final = 7  # letters of the shortest word that is recognised with one letter missing


class IncomingText(Private, frozen=True, kw_only=True):
    """The fields of an incoming text that count here; Twilio sends more.

    `opt_out_type` is there where Twilio's Advanced Opt-Out has recognised a word, the account's own ones too, and has
    answered it.
    """

    number: str = msgspec.field(name="From", default="")
    body: str = msgspec.field(name="Body", default="")
    sid: str = msgspec.field(name="MessageSid", default="")
    opt_out_type: str = msgspec.field(name="OptOutType", default="")


def read_word(text: IncomingText) -> Keyword | None:
    """Return the request of a text, in any case and with any punctuation; None where it makes no request."""
    said = unicodedata.normalize("NFKC", (text.opt_out_type or text.body)[:MAX_TEXT]).casefold()
    words = _LETTERS.findall(said)
    if word := WORDS.get(" ".join(words)):
        return word
    return Keyword.STOP if len(text.body) <= MAX_TEXT and _asks_for_an_end(words) else None


def _asks_for_an_end(words: list[str]) -> bool:
    if len(words) > 1 and all(len(word) == 1 for word in words):
        words = ["".join(words)]  # S T O P
    rest = [word for word in words if not _is_stop(word)]
    if "opt" in rest and "out" in rest:
        rest = [word for word in rest if word not in ("opt", "out")]
        return len(words) <= MAX_WORDS and AROUND_STOP.issuperset(rest)
    return len(rest) < len(words) <= MAX_WORDS and AROUND_STOP.issuperset(rest)


def _is_stop(word: str) -> bool:
    return _squeezed(word) in _SLIPS


def _slips(word: str) -> set[str]:
    """Return a word and its likely typos: two letters swapped or, in a long word, one left out."""
    pairs = range(len(word) - 1)
    swapped = {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in pairs}
    shorter = {word[:at] + word[at + 1 :] for at in range(len(word))} if len(word) >= _LONG else set()
    return {word, *swapped, *shorter}


def _squeezed(word: str) -> str:
    """Return the word with repeated letters collapsed: STOPPP becomes STOP."""
    return _DOUBLED.sub(r"\1", word)


_SLIPS: Final = frozenset(_squeezed(slip) for word in MISSPELT for slip in _slips(word))


def answer(word: Keyword, locale: str | None, brand: str, url: str) -> str:
    """Return the reply to a request, in the language of a locale or else in English."""
    language = (locale or "").partition("-")[0]
    return to_gsm7(ANSWERS.get(language, ANSWERS["en"])[word].format(brand=brand, url=url))


def twiml(text: str | None) -> str:
    """Return the TwiML that has Twilio send a reply, or nothing."""
    message = "" if text is None else f"<Message>{escape(text)}</Message>"
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
