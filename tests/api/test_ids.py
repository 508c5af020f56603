"""What isn't an id where one is asked for: a clear answer on every database, and the same one."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from notifier.channels.inbox.spec import SPEC as INBOX
from notifier.domain.ids import NOTHING
from tests.api.server import Answer, Caller
from tests.api.test_dead import die
from tests.samples import LINKS, NOW

TAKING = ("/v1/dead/redrive", "/v1/dead/discard", "/v1/acknowledge", "/v1/opened", "/v1/inbox/read")
"""The routes that take ids in their body."""


def body(path: str, id_: str) -> dict[str, Any]:
    return {
        "/v1/acknowledge": {"delivery": id_}, "/v1/opened": {"reference": id_}, "/v1/inbox/read": {"up_to": id_},
    }.get(path, {"ids": [id_]})  # fmt: skip


def misshapen(id_: str) -> list[str]:
    hyphens = re.sub("(.{8})(.{4})(.{4})(.{4})(.{12})", r"\1-\2-\3-\4-\5", id_)
    return ["x", "\0", "é", id_[1:], f"{id_}0", f"{id_}\n", f" {id_}", id_.upper(), hyphens, "g" * 32, "\u0661" * 32]


async def call(api: Caller, method: str, path: str, given: Any = None) -> Answer:
    """A request of the app whose inbox it is, or else of a service."""
    token = LINKS.app_token(INBOX.channel, "A-1", NOW) if path.startswith("/v1/inbox") else api.key
    return await api.call(method, path, given and json.dumps(given), Authorization=f"Bearer {token}")


async def test_what_has_not_the_form_of_an_id_is_told_so_or_not_found(api: Caller) -> None:
    # Given a dead letter, whose id has letters
    id_ = await die(api)
    assert id_.upper() != id_

    for odd in ["", *misshapen(id_)]:
        # When it is looked for in an address, then nothing is found
        for method, path in (("GET", "/v1/dead/{}"), ("POST", "/v1/inbox/{}/read")):
            answer = await call(api, method, path.format(quote(odd, safe="")))
            assert answer.status in ({404} if odd else {404, 405}), (path, odd)

        # And in a query or a body it is refused by name
        for name in ("event", "delivery"):
            answer = await call(api, "GET", f"/v1/explain?{name}={quote(odd)}")
            assert answer.problem == (42205, f"/{name}"), (name, odd)
        for path in TAKING:
            code, pointer = (await call(api, "POST", path, body(path, odd))).problem
            assert (code, bool(pointer)) == (42205, True), (path, odd)
        for path, between in (("/v1/dead", "-"), ("/v1/inbox", "/")):
            answer = await call(api, "GET", f"{path}?cursor={quote(f'{NOW}{between}{odd}', safe='')}")
            assert answer.problem == (42205, "/cursor"), (path, odd)


@pytest.mark.parametrize("nobodys", [NOTHING, "f" * 32])
async def test_an_id_that_nothing_has_is_not_found(api: Caller, nobodys: str) -> None:
    await die(api)

    assert (await call(api, "GET", f"/v1/dead/{nobodys}")).status == 404
    assert (await call(api, "POST", f"/v1/inbox/{nobodys}/read")).status == 404
    assert (await call(api, "GET", f"/v1/explain?event={nobodys}")).status == 404
    assert (await call(api, "GET", f"/v1/explain?delivery={nobodys}")).status == 404
    answers = {path: await call(api, "POST", path, body(path, nobodys)) for path in TAKING}

    (redriven,), (discarded,) = (answers[f"/v1/dead/{each}"].body["results"] for each in ("redrive", "discard"))
    assert redriven["reason"] == discarded["reason"] == "not_found"
    assert {path: answer.status for path, answer in answers.items() if "dead" not in path} == {
        "/v1/acknowledge": 404, "/v1/opened": 204, "/v1/inbox/read": 404,
    }  # fmt: skip
