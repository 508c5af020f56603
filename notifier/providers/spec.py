"""How a channel's messages reach a provider: what a channel's folder declares in `provider.py` (PROVIDER).

A channel needs none where the delivery's row is the delivery. What its provider's codes mean is declared beside it, in
`codes.py` (CODES), and which accounts there are in `settings.py`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic

from notifier.domain.channels import part
from notifier.domain.clock import MINUTE, SECOND, Clock
from notifier.domain.deliveries import Channel
from notifier.providers import Transport
from notifier.providers.codes import AGAIN, DEFERRED, SOON, Codes
from notifier.providers.retries import Duration, Retry
from notifier.runtime.accounts import A, Account
from notifier.runtime.finding import DoctorFinding
from notifier.runtime.proxies import Proxies
from notifier.runtime.settings import PREFIX, Settings


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a transport is opened with beside its account."""

    settings: Settings
    proxies: Proxies
    clock: Clock


@dataclass(frozen=True, kw_only=True)
class ProviderSpec(Generic[A]):
    """What the providers of a channel are.

    `accounts` are those that the settings name. `open` makes an account's transport on the running loop;
    ConfigurationError where the account can't be used. `check` is what the doctor finds of the accounts.

    `cost` is what a message counts of an account's rate. `ramps` where a full rate is to be reached slowly. A
    connection takes `per_connection` messages at once. `files` are those that an account names and that hold secrets.
    `confirms` says that messages are told to have arrived, with the provider's answer or later.
    """

    accounts: Callable[[Settings], Sequence[A]]
    open: Callable[[A, Opening], Transport[Any]]
    check: Callable[[Settings], AsyncIterator[DoctorFinding]]
    cost: Callable[[Any], float] = lambda _message: 1.0
    ramps: bool = False
    per_connection: int = 1
    files: Callable[[A], Sequence[Path]] = lambda _account: ()
    confirms: bool = False


def provider(channel: Channel) -> ProviderSpec[Any] | None:
    """How a channel's messages reach a provider; None where it has none, and for `NONE`."""
    found: ProviderSpec[Any] | None = None if channel is Channel.NONE else part(channel, "provider", "PROVIDER")
    return found


def codes(channel: Channel) -> Codes | None:
    """What the codes of a channel's provider mean; None where it has none, and for `NONE`."""
    found: Codes | None = None if channel is Channel.NONE else part(channel, "codes", "CODES")
    return found


_HERE: Final = Retry(first=Duration(SECOND), factor=2, most=Duration(10 * MINUTE), attempts=20)
"""The retry schedule of errors before any provider: only our own faults, which are fixed within the two hours of twenty
attempts."""
_WITHOUT_PROVIDER: Final[Mapping[str, Retry]] = {**dict.fromkeys(AGAIN, _HERE), DEFERRED: SOON}


def retries(channel: Channel) -> Mapping[str, Retry]:
    """When a channel tries again, by the error's class (`codes.toml`, where it has a provider); nothing for `NONE`."""
    found = codes(channel)
    if found is not None:
        return found.retry
    return {} if channel is Channel.NONE else _WITHOUT_PROVIDER


def no_account(part: str, messages: str, setting: str, url: str) -> DoctorFinding:
    """What the doctor tells of a channel whose `setting` names no account, such as one by this URL."""
    return DoctorFinding(
        part, "missing", f"no provider: {messages} wait and expire", f"{PREFIX}{setting.upper()}={url}"
    )


def route(account_url: str, settings: Settings) -> str:
    """How the doctor tells by which way a provider's address is reached."""
    proxy = settings.proxies().of(account_url)
    return account_url if proxy is None else f"{account_url} through {proxy.host}:{proxy.port}"


def pace(account: Account) -> str:
    """How the doctor tells an account's rate; nothing where it has none."""
    return "" if account.rate is None else f", at most {account.rate:g} a second"
