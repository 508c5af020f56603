"""Pushes over real connections: taken, refused, lost."""

import asyncio
import json
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from firebase_admin import exceptions, messaging
from google.rpc import code_pb2

from notifier.channels.push.transport import CAUSES, FcmTransport
from notifier.domain.clock import SECOND, ManualClock
from notifier.domain.errors import (
    AddressGone,
    ConfigurationError,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendError,
    Throttled,
    Unavailable,
)
from notifier.domain.messages import Device, Receipt
from notifier.providers.http import HttpTimeouts
from tests.channels import canary
from tests.channels.provider import Handler, Provider, drop, half, hold, quick, reply, reply_raw, silence
from tests.channels.push.samples import SEND, TOKEN_ENDPOINT, push


def failure(status: str, code: str | None = None) -> dict[str, Any]:
    """An error as FCM writes it; its sentence quotes the token."""
    details: list[dict[str, Any]] = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": []}]
    if code is not None:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    return {"error": {"code": 400, "message": f"{canary.TOKEN} is wrong", "status": status, "details": details}}


async def test_a_push_that_is_taken_has_fcms_name_for_it(fcm: FcmTransport, provider: Provider) -> None:
    # When
    receipt = await fcm.send(push())

    # Then
    assert receipt == Receipt("fcm", "projects/p/messages/1")
    assert provider.requests(SEND)[0].json["message"]["token"] == canary.TOKEN
    assert provider.requests(SEND)[0].headers["Authorization"] == f"Bearer {canary.SECRET}-1"


@pytest.mark.parametrize(
    ("http", "status", "code", "kind", "cause"),
    [
        (404, "NOT_FOUND", "UNREGISTERED", AddressGone, messaging.UnregisteredError),
        (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", Misconfigured, messaging.SenderIdMismatchError),
        (401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR", Misconfigured, messaging.ThirdPartyAuthError),
        (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", Throttled, messaging.QuotaExceededError),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", Refused, exceptions.InvalidArgumentError),
        (500, "INTERNAL", "INTERNAL", Unavailable, exceptions.InternalError),
        (503, "UNAVAILABLE", "UNAVAILABLE", Unavailable, exceptions.UnavailableError),
        (401, "UNAUTHENTICATED", None, Misconfigured, exceptions.UnauthenticatedError),
        (403, "PERMISSION_DENIED", None, Misconfigured, exceptions.PermissionDeniedError),
        (404, "NOT_FOUND", None, Misconfigured, exceptions.NotFoundError),
        (400, "FAILED_PRECONDITION", None, Misconfigured, exceptions.FailedPreconditionError),
        (504, "DEADLINE_EXCEEDED", None, OutcomeUnknown, exceptions.DeadlineExceededError),
        (400, "NEW_STATUS", "NEW_CODE", Refused, None),
        (400, "INVALID_ARGUMENT", "not a code: canary-device-token", Refused, exceptions.InvalidArgumentError),
    ],
)
async def test_each_refusal_is_told_apart(
    fcm: FcmTransport, provider: Provider, caplog: pytest.LogCaptureFixture,
    http: int, status: str, code: str | None, kind: type[SendError], cause: type[Exception] | None,
) -> None:  # fmt: skip
    # Given
    provider.answers(SEND, reply(http, failure(status, code)))

    # When
    with pytest.raises(kind) as failed:
        await fcm.send(push())

    # Then
    assert failed.value.code == (status if code is None or " " in code else code)
    assert type(failed.value.__cause__) is (cause or type(None))
    assert canary.shown(failed.value, caplog) == []


@pytest.mark.parametrize("field", ["message.token", "message.fid"])
async def test_an_invalid_argument_that_is_the_device_is_a_device_that_is_gone(
    fcm: FcmTransport, provider: Provider, field: str
) -> None:
    # Given
    body = failure("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    body["error"]["details"][0]["fieldViolations"] = [{"field": field, "description": "Invalid registration token"}]
    provider.answers(SEND, reply(400, body))

    # When / Then
    with pytest.raises(AddressGone):
        await fcm.send(push())


async def test_an_invalid_argument_that_is_the_payload_keeps_the_device(fcm: FcmTransport, provider: Provider) -> None:
    body = failure("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    body["error"]["details"][0]["fieldViolations"] = [{"field": "message.data", "description": "Invalid data"}]
    provider.answers(SEND, reply(400, body))

    with pytest.raises(Refused):
        await fcm.send(push())


@pytest.mark.parametrize("status", sorted(set(code_pb2.Code.DESCRIPTOR.values_by_name) & set(vars(exceptions))))
def test_each_code_of_the_sdk_has_the_sdks_exception(status: str) -> None:
    assert CAUSES[status]("detail").code == status


@pytest.mark.parametrize(
    ("http", "kind"),
    [
        (301, Misconfigured), (400, Refused), (401, Misconfigured), (403, Misconfigured), (404, Misconfigured),
        (413, Refused), (418, Refused), (429, Throttled), (500, Unavailable), (502, Unavailable), (503, Unavailable),
        (504, OutcomeUnknown), (204, OutcomeUnknown),
    ],
)  # fmt: skip
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": 3}', b'{"error": {"details": [4]}}', b"\xff", b"[" * 999])
async def test_an_answer_without_a_code_is_judged_by_its_status(
    fcm: FcmTransport, provider: Provider, http: int, kind: type[SendError], body: bytes
) -> None:
    # Given
    provider.answers(SEND, reply_raw(http, body))

    # When
    with pytest.raises(kind) as failed:
        await fcm.send(push())

    # Then
    assert failed.value.code == str(http)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"name": 5}'])
async def test_a_success_that_names_no_message_is_unknown(fcm: FcmTransport, provider: Provider, body: bytes) -> None:
    # Given
    provider.answers(SEND, reply_raw(200, body))

    # When / Then
    with pytest.raises(OutcomeUnknown):
        await fcm.send(push())


@pytest.mark.parametrize(("http", "status"), [(429, "RESOURCE_EXHAUSTED"), (503, "UNAVAILABLE")])
async def test_retry_after_is_heard(
    fcm: FcmTransport, provider: Provider, clock: ManualClock, http: int, status: str
) -> None:
    # Given
    date = formatdate(clock.now() / SECOND + 90, usegmt=True)
    provider.answers(
        SEND, reply(http, failure(status), {"Retry-After": "7"}), reply(http, failure(status), {"Retry-After": date})
    )

    # When
    errors = [*await asyncio.gather(fcm.send(push()), return_exceptions=True)]
    errors += await asyncio.gather(fcm.send(push()), return_exceptions=True)

    # Then
    seconds, until = [error.retry_after for error in errors if isinstance(error, SendError)]
    assert seconds == 7
    assert until == pytest.approx(90, abs=1)


async def test_too_many_requests_without_a_wish_wait_a_minute(fcm: FcmTransport, provider: Provider) -> None:
    # Given
    provider.answers(SEND, reply(429, failure("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")))

    # When
    with pytest.raises(Throttled) as failed:
        await fcm.send(push())

    # Then
    assert failed.value.retry_after == 60


@pytest.mark.parametrize("answer", [drop, half, silence])
@quick
async def test_a_push_whose_answer_is_lost_is_unknown(
    fcm: FcmTransport, provider: Provider, caplog: pytest.LogCaptureFixture, answer: Handler
) -> None:
    # Given
    provider.answers(SEND, answer)

    # When
    with pytest.raises(OutcomeUnknown) as failed:
        await fcm.send(push())

    # Then it was sent once
    assert len(provider.requests(SEND)) == 1
    assert canary.shown(failed.value, caplog) == []


async def test_a_push_that_fcm_never_saw_can_be_tried_again(
    provider: Provider, service_account: dict[str, str], clock: ManualClock, unused_tcp_port: int
) -> None:
    # Given nobody who listens
    transport = FcmTransport(service_account, clock=clock, base_url=f"http://127.0.0.1:{unused_tcp_port}")
    provider.answers(TOKEN_ENDPOINT, reply(200, {"access_token": "t", "expires_in": 3600}))

    # When / Then
    with pytest.raises(Unavailable):
        await transport.send(push())
    await transport.close()


async def test_a_message_that_the_sdk_does_not_accept_is_refused_unsent(fcm: FcmTransport, provider: Provider) -> None:
    with pytest.raises(Refused):
        await fcm.send(push(device=Device(value="")))
    assert provider.seen == []


async def test_two_hundred_pushes_share_the_pool(fcm: FcmTransport, provider: Provider) -> None:
    # Given
    provider.answers(SEND, hold)

    # When
    receipts = await asyncio.gather(*(fcm.send(push(reference=f"{number:032}")) for number in range(200)))

    # Then all arrive, each once, never more at a time than there are connections
    assert len(receipts) == 200
    arrived = [seen.json["message"]["data"]["reference"] for seen in provider.requests(SEND)]
    assert sorted(arrived) == [f"{number:032}" for number in range(200)]
    assert provider.most_under_way <= 20


async def test_another_project_than_the_accounts_own(
    provider: Provider, service_account: dict[str, str], clock: ManualClock, tmp_path: Path
) -> None:
    # Given the account in a file
    file = tmp_path / "account.json"
    file.write_text(json.dumps(service_account))
    provider.answers(TOKEN_ENDPOINT, reply(200, {"access_token": "t", "expires_in": 3600}))
    provider.answers("/v1/projects/other/messages:send", reply(200, {"name": "n"}))
    transport = FcmTransport(file, clock=clock, project="other", base_url=provider.url)

    # When / Then
    assert (await transport.send(push())).reference == "n"
    await transport.close()


async def test_a_service_account_without_a_project_is_refused(
    service_account: dict[str, str], clock: ManualClock
) -> None:
    with pytest.raises(ConfigurationError, match="project_id"):
        FcmTransport({**service_account, "project_id": ""}, clock=clock)


async def test_time_outs_that_could_not_tell_sent_from_unsent_are_refused(
    service_account: dict[str, str], clock: ManualClock
) -> None:
    with pytest.raises(ConfigurationError, match="connect time-out"):
        FcmTransport(service_account, clock=clock, timeouts=HttpTimeouts(connect=10, total=5))
