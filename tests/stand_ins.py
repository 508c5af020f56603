"""What stands in for FCM, Twilio and a mail server in a running sandbox, for tests that speak to them."""

from typing import cast

from notifier.channels.email.sandbox import SmtpService
from notifier.channels.push.sandbox import FcmService
from notifier.sandbox import Sandbox
from tests.named import EMAIL, PUSH


def service_account(sandbox: Sandbox) -> dict[str, str]:
    """The key of the sandbox's Firebase project."""
    return cast(FcmService, sandbox.services[PUSH]).service_account()


def certificate(sandbox: Sandbox) -> bytes:
    """The certificate of the sandbox's mail server, as PEM."""
    return cast(SmtpService, sandbox.services[EMAIL]).certificate
