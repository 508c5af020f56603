"""Settings of webhooks: the networks beside the internet in which endpoints are permitted."""

from collections.abc import Mapping
from typing import Final

from notifier.providers.destinations import NETS
from notifier.runtime.addresses import networks
from notifier.runtime.own_settings import Setting, looked_at

SETTINGS: Final[Mapping[str, Setting]] = {
    NETS: Setting(
        about="private networks that webhooks may go to, over http and on any port too; none unless set",
        example="10.20.0.0/16,192.168.7.4/32",
        read=looked_at(networks),
        several_lines=True,
    ),
}
