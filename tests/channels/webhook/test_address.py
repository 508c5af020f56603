"""Endpoints as they come in: each fault is told with its place, and never with its value."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from notifier.channels.webhook.address import Format, WebhookEndpoint
from notifier.channels.webhook.messages import WebhookMessage
from notifier.domain.errors import Problem
from notifier.domain.recipients import RecipientDetails, decode_details, patched, put_over
from notifier.people.importing import to_problem
from notifier.providers.destinations import FAULTS
from tests.channels.test_destinations import HOSTILE
from tests.channels.webhook.samples import OLD_SECRET, ROUTING_KEY, SECRET, SECRETS, endpoint, webhook

HELD = {"url": "https://hooks.example/", "secret": SECRET, "previous_secret": OLD_SECRET}


def details(**members: object) -> RecipientDetails:
    given = {"url": "https://hooks.example/", "secret": SECRET} | members
    return decode_details(msgspec.json.encode({"addresses": {"webhook": given}}))


def problem(given: RecipientDetails, **settings: str) -> Problem:
    with pytest.raises(ValueError, match=r"^addresses\.webhook\.") as refused:
        given.checked(settings)
    return to_problem(refused.value)


def checked(given: RecipientDetails, **settings: str) -> WebhookEndpoint:
    addresses = given.checked(settings).addresses
    assert addresses is not None
    found: WebhookEndpoint = getattr(addresses, "webhook")  # noqa: B009 (a struct made of the channels that there are)
    return found


@pytest.mark.parametrize(("url", "fault"), HOSTILE)
def test_a_hostile_url_is_refused_with_its_place_and_never_told(url: str, fault: str) -> None:
    told = problem(details(url=url))

    assert (told.code, told.pointer) == (42203, "/addresses/webhook/url")
    assert told.detail == f"addresses.webhook.url {FAULTS[fault]}"


def test_a_url_is_kept_in_its_one_form() -> None:
    given = details(url="https://BÜCHER.example.:443/a?b=%20")
    assert checked(given).url == "https://xn--bcher-kva.example/a?b=%20"
    assert checked(given) == checked(given.checked())


def test_networks_that_are_permitted_may_be_named() -> None:
    given = details(url="http://127.0.0.1:8025/hook")

    assert problem(given).detail == f"addresses.webhook.url {FAULTS['loopback']}"
    assert checked(given, webhook_nets="10.0.0.0/8, 127.0.0.0/8").url == "http://127.0.0.1:8025/hook"
    assert problem(given, webhook_nets="10.0.0.0/8").pointer == "/addresses/webhook/url"


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"secret": None}, "secret"),
        ({"secret": ""}, "secret"),
        ({"secret": "canary-secret"}, "secret"),
        ({"secret": "whsec_canary-secret"}, "secret"),
        ({"secret": "whsec_c2hvcnQ="}, "secret"),
        ({"secret": f"whsec_{'QUJD' * 30}"}, "secret"),
        ({"secret": f"{SECRET}\n"}, "secret"),
        ({"previous_secret": "whsec_"}, "previous_secret"),
        ({"format": "pagerduty"}, "secret"),
        ({"format": "pagerduty", "secret": None}, "secret"),
        ({"format": "pagerduty", "secret": f"{ROUTING_KEY}\n"}, "secret"),
    ],
)
def test_a_secret_that_is_none_is_refused_with_its_place(members: dict[str, object], place: str) -> None:
    told = problem(details(**members))

    assert (told.code, told.pointer) == (42203, f"/addresses/webhook/{place}")
    assert "canary" not in told.detail


@pytest.mark.parametrize("member", ["url", "format", "secret"])
def test_a_member_of_another_shape_is_refused_with_its_place(member: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        details(**{member: 5})
    assert to_problem(refused.value).pointer == f"/addresses/webhook/{member}"


@pytest.mark.parametrize("form", ["slack", "teams"])
def test_what_a_form_has_no_use_for_is_not_kept(form: Format) -> None:
    kept = checked(details(format=form, previous_secret=OLD_SECRET))
    assert (kept.secret, kept.previous_secret) == (UNSET, UNSET)


def test_pagerdutys_routing_key_is_its_secret() -> None:
    theirs = details(url="https://events.pagerduty.com/v2/enqueue", format="pagerduty", secret=ROUTING_KEY)
    assert checked(theirs).secret == ROUTING_KEY


@pytest.mark.parametrize(
    "url", ["https://hooks.example/", "https://8.8.8.8/", "https://events.pagerduty.com.evil.example/"]
)
def test_a_routing_key_is_sent_to_pagerduty_alone_whoever_changes_the_url(url: str) -> None:
    told = problem(details(url=url, format="pagerduty", secret=ROUTING_KEY), webhook_nets="127.0.0.0/8")

    assert told.pointer == "/addresses/webhook/url"
    assert checked(
        details(url="http://127.0.0.1:8025/hook", format="pagerduty", secret=ROUTING_KEY), webhook_nets="127.0.0.0/8"
    ).secret


def test_a_put_that_leaves_secrets_out_keeps_them() -> None:
    # Given what a GET shows
    given = decode_details(b'{"addresses": {"webhook": {"url": "https://moved.example/"}}}')

    # When it is put back over what is held, then nothing is lost
    kept = checked(put_over({"addresses": {"webhook": HELD}}, given))
    assert (kept.url, kept.secret, kept.previous_secret) == ("https://moved.example/", SECRET, OLD_SECRET)

    # And where nothing is held, a secret is asked for
    held: list[dict[str, Any] | None] = [None, {"addresses": {}}]
    for nothing in held:
        with pytest.raises(ValueError, match=r"^addresses\.webhook\.secret is required"):
            put_over(nothing, given)


@pytest.mark.parametrize(
    ("told", "secrets"),
    [
        ({"previous_secret": None}, (SECRET, UNSET)),
        ({"secret": OLD_SECRET, "previous_secret": SECRET}, (OLD_SECRET, SECRET)),
        ({"secret": OLD_SECRET, "previous_secret": None}, (OLD_SECRET, UNSET)),
        ({"secret": OLD_SECRET}, (OLD_SECRET, OLD_SECRET)),
    ],
)
def test_a_put_ends_a_rotation_by_a_null(told: dict[str, object], secrets: tuple[object, object]) -> None:
    body = {"addresses": {"webhook": {"url": "https://hooks.example/", **told}}}

    kept = checked(put_over({"addresses": {"webhook": HELD}}, decode_details(msgspec.json.encode(body))))

    assert (kept.secret, kept.previous_secret) == secrets


def test_a_put_that_takes_the_only_secret_away_is_told_that_one_is_needed() -> None:
    given = decode_details(b'{"addresses": {"webhook": {"url": "https://hooks.example/", "secret": null}}}')

    with pytest.raises(ValueError, match=r"^addresses\.webhook\.secret is required"):
        put_over({"addresses": {"webhook": HELD}}, given)


@pytest.mark.parametrize(
    ("patch", "secrets"),
    [
        ({"url": "https://moved.example/"}, (SECRET, OLD_SECRET)),
        ({"secret": OLD_SECRET, "previous_secret": SECRET}, (OLD_SECRET, SECRET)),
        ({"previous_secret": None}, (SECRET, UNSET)),
    ],
)
def test_a_patch_changes_what_it_names(patch: dict[str, object], secrets: tuple[object, object]) -> None:
    held = {**msgspec.structs.asdict(RecipientDetails()), "addresses": {"webhook": HELD}, "preferences": {}}

    kept = checked(patched(held, {"addresses": {"webhook": patch}}))

    assert (kept.secret, kept.previous_secret) == secrets


def test_a_patch_of_something_else_looks_at_no_address() -> None:
    # Given an endpoint that was permitted once
    held = {"url": "http://127.0.0.1/", "secret": SECRET}
    document = {**msgspec.structs.asdict(RecipientDetails()), "addresses": {"webhook": held}, "preferences": {}}

    # Then it stays as it is, and null takes it away
    assert patched(document, {"name": "Ada"}).addresses is None
    gone = patched(document, {"addresses": None}).addresses
    assert gone is not None
    assert msgspec.to_builtins(gone) == {}


@given(st.sampled_from(["url", "secret", "previous_secret"]), st.text(min_size=12))
def test_whatever_is_told_of_an_endpoint_holds_nothing_of_it(member: str, value: str) -> None:
    canary = f"c4n4ry{value}"
    given = details(**{member: canary})

    with pytest.raises(ValueError, match=f"^addresses.webhook.{member} ") as refused:
        given.checked()

    assert "c4n4ry" not in f"{refused.value!r}{given!r}{given.addresses!r}"


def test_nothing_of_an_endpoint_is_printed() -> None:
    shown: list[object] = [endpoint(), webhook(), [webhook()], {"a": webhook().content}]
    told = "".join(f"{each!r}{each!s}" for each in shown)

    assert isinstance(webhook(), WebhookMessage)
    assert not [secret for secret in SECRETS if secret in told]
