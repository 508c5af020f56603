"""Decisions as earlier releases wrote them, in short: migrations of years need these documents to stay as they are."""

import msgspec
import pytest

from notifier.store.core.migrations.short_decisions import short_answers, short_standing

AT = 1_773_078_000_000
PLAIN = (
    '{"channel":"push","answer":"pending","reason":null,"due_at":1773078000000,"rule":"type_default","delivery":"3f"}'
)
HELD = (
    '{"channel":"sms","answer":"pending","reason":"legal_window","due_at":1773081600000,"rule":"legal_window",'
    '"delivery":"4e","by":"default"}'
)
NOBODY = (
    '{"channel":"none","answer":"suppressed","reason":"unknown_recipient","due_at":1773078000000,"rule":"address",'
    '"delivery":"5d"}'
)
FIRST = '{"channel":"email","answer":"pending","due_at":1773078000000}'
NOTHING = (
    '"channels":{},"categories":{},"switches":{},"quiet_hours":null,"digests":{},"everything":true,"locale":null,'
    '"time_zone":null'
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"[{PLAIN},{HELD}]", '[["push","3f"],["sms","4e","pending","legal_window","legal_window",3600000,"default"]]'),
        (f"[{NOBODY}]", '[["none","5d","suppressed","address","unknown_recipient"]]'),
        (f"[{FIRST}]", '[["email",null,"pending",null]]'),
        ("[]", "[]"),
    ],
)
def test_answers_in_short(before: str, after: str) -> None:
    assert short_answers(before, AT) == after
    assert short_answers(after, AT) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'{{"preferences":{{{NOTHING}}},"locale":"en","time_zone":"UTC"}}', "[]"),
        (
            (
                f'{{"preferences":{{{NOTHING}}},"locale":"de","time_zone":"Europe/Berlin","reachable":["sms","push"],'
                '"spent":{"type:payment-failed":[],"type:offer":[1773077000000],"offers":[1773081600000]}}'
            ),
            '["de","Europe/Berlin",["sms","push"],{"spent":{"type:":[],"type:offer":[-1000000],"offers":[3600000]}}]',
        ),
        (
            (
                '{"preferences":{"channels":{},"switches":{"billing":{"pigeon":false}},"everything":false,"mood":null},'
                '"defaults":[["network",{"channels":{"sms":false},"digests":{},"locked":{}}],["fleet:acme",{}]],'
                '"consents":{"offers":{}},"suppressed":{"sms":"stopped"},"region":"US-FL","locale":"en",'
                '"time_zone":"UTC"}'
            ),
            (
                '["en","UTC",[],{"consents":{"offers":{}},"suppressed":{"sms":"stopped"},"region":"US-FL",'
                '"preferences":{"switches":{"billing":{"pigeon":false}},"everything":false,"mood":null},'
                '"defaults":[["network",{"channels":{"sms":false}}],["fleet:acme",{}]]}]'
            ),
        ),
        ("{}", "[]"),
        ("null", None),
        (None, None),
    ],
)
def test_facts_in_short(before: str | None, after: str | None) -> None:
    assert short_standing(before, "payment-failed", AT) == after
    assert short_standing(after, "payment-failed", AT) == after


def test_words_of_any_language_stay() -> None:
    short = short_standing('{"defaults":[["host:größe \\u2028",{}]]}', "t", AT)

    assert short is not None
    assert msgspec.json.decode(short)[3] == {"defaults": [["host:größe \u2028", {}]]}
