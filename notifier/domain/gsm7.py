"""SMS text that stays in GSM-7: 160 letters a segment, where one other letter makes it 70 (3GPP TS 23.038 §6.2.1)."""

import re
import unicodedata

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"  # each is sent with an escape, so it takes two of the 160

_ODD = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_PLAIN = {
    **dict.fromkeys("’‘‚‛′´`", "'"),
    **dict.fromkeys("“”„‟«»″", '"'),
    **dict.fromkeys("‹", "<"),
    **dict.fromkeys("›", ">"),
    **dict.fromkeys("‐‑‒–—―−·", "-"),
    **dict.fromkeys("•", "*"),
    **dict.fromkeys("…", "..."),
    **dict.fromkeys(
        "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", ""),
}
# Zero-width characters that Persian words and combined emoji need
_JOINERS = "\u200c\u200d"
# Letters that Unicode's decomposition leaves whole
_BARE = {"œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i"}


def to_gsm7(text: str) -> str:
    """The text with plain spaces, quotes and dashes, and without those accents that GSM-7 lacks ("Nîmes" → "Nimes").

    Accents go only where that makes the whole text GSM-7: a script that needs the long one anyway keeps its letters.
    """
    plain = _ODD.sub(lambda odd: _PLAIN.get(odd[0], odd[0]), text)
    bare = _ODD.sub(lambda odd: _without_accents(odd[0]), plain)
    return _ODD.sub(_plain_but_joined, text) if _ODD.search(bare) else bare


def _plain_but_joined(odd: re.Match[str]) -> str:
    return odd[0] if odd[0] in _JOINERS else _PLAIN.get(odd[0], odd[0])


def _without_accents(letter: str) -> str:
    apart = unicodedata.normalize("NFKD", _BARE.get(letter, letter))
    return "".join(part for part in apart if not unicodedata.combining(part))
