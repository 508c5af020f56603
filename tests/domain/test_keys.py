"""API keys: shown once, kept as a hash, told from everything else."""

import hashlib
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.domain.keys import (
    MAX_RATE,
    MAX_SOURCES,
    SCOPES,
    TEST_SCOPES,
    find_faults,
    hash_secret,
    make_key,
    make_successor,
    split_key,
)

TEXT, KEY = make_key("billing", frozenset({"events:write"}), 1000)


def test_a_key_admits_its_own_secret_and_no_other() -> None:
    id_, secret = split_key(TEXT) or ("", "")
    other, _ = make_key("billing", frozenset({"events:write"}), 1000)

    assert id_ == KEY.id
    assert KEY.admits(secret, 1000)
    assert not KEY.admits((split_key(other) or ("", ""))[1], 1000)
    assert not KEY.admits("", 1000)
    assert not KEY.admits(KEY.secret_hash, 1000)


def test_a_revoked_key_admits_nobody() -> None:
    _, secret = split_key(TEXT) or ("", "")
    revoked = type(KEY)(
        id=KEY.id, name=KEY.name, secret_hash=KEY.secret_hash, scopes=KEY.scopes, created_at=1000, revoked_at=2000
    )

    assert not revoked.admits(secret, 3000)


def test_a_key_ends_at_its_time() -> None:
    text, key = make_key("billing", frozenset(), 1000, expires_at=5000)
    _, secret = split_key(text) or ("", "")

    assert key.admits(secret, 4999)
    assert not key.admits(secret, 5000)


def test_a_key_reports_for_its_sources_and_of_its_types_only() -> None:
    _, bound = make_key("b", frozenset(), 0, sources=("csms/berlin", "billing/*"), types=("payment.failed",))

    assert [bound.bounds.has_source(each) for each in ("csms/berlin", "billing/eu", "billing/")] == [True] * 3
    assert not any(bound.bounds.has_source(each) for each in ("csms/berlin2", "csms", "billing", "CSMS/berlin", ""))
    assert bound.bounds.has_type("payment.failed")
    assert not bound.bounds.has_type("payment.failed2")
    assert KEY.bounds.has_source("anything")
    assert KEY.bounds.has_type("anything")


def test_only_a_hash_of_the_secret_is_kept_and_nothing_of_it_is_printed() -> None:
    _, secret = split_key(TEXT) or ("", "")

    assert KEY.secret_hash == hash_secret(secret) == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str([getattr(KEY, name) for name in KEY.__struct_fields__])
    assert repr(KEY) == f"<ApiKey {KEY.id}>"


def test_no_two_keys_are_alike() -> None:
    made = [make_key("billing", frozenset(), 1000) for _ in range(100)]

    assert len({text for text, _ in made}) == len({key.id for _, key in made}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ntf",
        "ntf__",
        TEXT[:-1],
        TEXT + "0",
        TEXT + "\n",
        " " + TEXT,
        TEXT.upper(),
        TEXT.replace("ntf_", "ntf-"),
        TEXT[:-1] + "g",
        TEXT[:-1] + "\0",
        TEXT[:4] + "\0" * 16 + TEXT[20:],
        TEXT[:4] + "٣" * 16 + TEXT[20:],
    ],
    ids=itertools.count(),  # the key is another in each process
)
def test_what_is_not_a_key_is_never_looked_up(text: str) -> None:
    assert split_key(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_keys(text: str) -> None:
    for tried in (text, f"ntf_{text}", f"ntf_{text}_{text}"):
        parts = split_key(tried)
        if parts is not None:
            id_, secret = parts
            assert tried in (f"ntf_{id_}_{secret}", f"ntf_test_{id_}_{secret.removeprefix('test_')}")


def test_every_scope_is_listed_once() -> None:
    assert len(set(SCOPES)) == len(SCOPES)


def test_a_test_key_is_good_as_such_alone() -> None:
    text, key = make_key("staging", TEST_SCOPES, 1000, test=True)
    id_, secret = split_key(text) or ("", "")

    assert text.startswith("ntf_test_")
    assert key.test
    assert (id_, key.admits(secret, 1000)) == (key.id, True)

    # Without its mark the text is no key's, and with a mark another's isn't either
    stripped = split_key(text.replace("ntf_test_", "ntf_")) or ("", "")
    assert (stripped[0], key.admits(stripped[1], 1000)) == (key.id, False)
    assert not KEY.admits((split_key(TEXT.replace("ntf_", "ntf_test_")) or ("", ""))[1], 1000)


def test_a_successor_has_the_bounds_of_the_key_and_as_long_a_life() -> None:
    bounds: dict[str, Any] = {
        "sources": ("csms/*",),
        "types": ("payment.failed",),
        "rate": 5.0,
        "daily": 9000,
        "parties": ("DE*ABC",),
    }
    _, key = make_key("csms", frozenset({"events:write"}), 1000, expires_at=6000, **bounds)
    _, eternal = make_key("csms", TEST_SCOPES, 1000, test=True)

    text, successor = make_successor(key, 4000)
    test_text, test_successor = make_successor(eternal, 4000)

    own = {"id", "secret_hash", "created_at", "expires_at"}
    shared = set(key.__struct_fields__) - own
    assert {name: getattr(successor, name) for name in shared} == {name: getattr(key, name) for name in shared}
    assert (successor.created_at, successor.expires_at) == (4000, 9000)
    assert successor.admits((split_key(text) or ("", ""))[1], 4000)
    assert (test_successor.expires_at, test_text[:9]) == (None, "ntf_test_")


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("scopes", {"scopes": ()}),
        ("scopes", {"scopes": ("events:write", "recipients:write"), "test": True}),
        *(("scopes", {"scopes": (scope,), "test": True}) for scope in SCOPES if scope not in {*TEST_SCOPES, "ocpi"}),
        ("scopes", {"scopes": ("ocpi",), "parties": ("DE*ABC",)}),
        ("parties", {"scopes": ("ocpi",), "sources": (), "types": ()}),
        ("sources", {"sources": ("a*b",)}),
        ("sources", {"sources": ("**",)}),
        ("sources", {"sources": ("",)}),
        ("sources", {"sources": ("two\nlines",)}),
        ("sources", {"sources": tuple(map(str, range(MAX_SOURCES + 1)))}),
        ("types", {"types": ("no.such",)}),
        ("daily", {"daily": 0}),
        ("daily", {"daily": 2**63}),
        *(("rate", {"rate": rate}) for rate in (0.0, -1.0, math.nan, math.inf, -math.inf, MAX_RATE * 2)),
    ],
)
def test_bounds_that_make_no_sense_are_told_by_their_field(field: str, given: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "scopes": ("events:write",), "sources": ("csms/*", "*"), "types": ("known",), "parties": (), "rate": 0.5,
        "daily": 9000,
        "test": False, "known": ("known",),
    }  # fmt: skip

    assert find_faults(**good) == {}
    assert set(find_faults(**good | given)) == {field}
