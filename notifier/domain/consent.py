"""Consent: what a person has agreed to hear of, and what they have taken back. Words are only added; the latest counts.

A word is about one category, or about all of them. Consent can't be given for everything at once: a grant for all
lifts nothing and agrees to nothing. So whoever texts START after STOP gets texts again, and no marketing by them until
they agree to that anew.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

import msgspec

from notifier.domain.deliveries import ChannelName
from notifier.domain.messages import Private
from notifier.domain.preferences import Key
from notifier.domain.recipient_facts import ALL
from notifier.domain.text import LINE

CHANNELS: Final[tuple[ChannelName, ...]] = get_args(ChannelName)

Line = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=LINE)]
Agreed = Mapping[str, Mapping[str, bool]]
"""The latest decision by category and channel: `{"offers": {"email": true}}`. A missing entry means that consent was
never given."""


class Consent(Private, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One word of a person's: that they agree to a category on a channel, or (`granted` false) no longer do.

    `category` is one, or `all` to take back every consent; `channel` is one, or `all`. `wording` names the version of
    the text that they agreed to, `source` where they said it (`app`, `signup-form`, `sms`): neither is personal data.
    """

    category: Key
    channel: ChannelName | Literal["all"]
    granted: bool
    wording: Line
    source: Line

    def checked(self) -> "Consent":
        """Return the consent; ValueError if it would grant every category at once."""
        if self.granted and self.category == ALL:
            raise ValueError("category must be a category's id to give consent; all can only be taken back")
        return self


def apply(agreed: Agreed, word: Consent) -> Agreed:
    """The consents in force after one more grant or withdrawal."""
    if word.category == ALL and word.granted:
        return agreed
    categories = list(agreed) if word.category == ALL else [word.category]
    channels = CHANNELS if word.channel == ALL else (word.channel,)
    said = dict.fromkeys(channels, word.granted)
    return {**agreed, **{category: {**agreed.get(category, {}), **said} for category in categories}}
