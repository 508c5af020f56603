"""The tools: what each is for and when to use which, as language models read it, and the calls that it makes."""

from typing import Annotated, Any, Final

from pydantic import Field

from notifier.domain.channels import channels
from notifier.mcp import answers
from notifier.mcp.service import Service

Json = dict[str, Any]

PAGE: Final = 20  # decisions or dead letters in an answer: a page that a model reads whole

REPLAYED: Final = 20  # pages of a replay in an answer, of a thousand events each

OurEvent = Annotated[str | None, Field(description="The event's id here: 32 hex digits, from the 202 response")]
Source = Annotated[str | None, Field(description="With `id`: the source that reported the event, such as csms/berlin")]
SourceId = Annotated[str | None, Field(description="With `source`: the id that the source gave the event")]
Delivery = Annotated[str | None, Field(description="Instead of an event: the id of one delivery")]
Recipient = Annotated[str | None, Field(description="Only this recipient's id; also somebody who was not notified")]
Cursor = Annotated[str | None, Field(description="The `next` of the answer before, for the page after it")]
EventType = Annotated[str, Field(description="The event type, such as charging.complete")]
Data = Annotated[Json, Field(description="The event's data, as the service would report them")]
Moment = Annotated[
    str | None,
    Field(description='When: an instant (RFC 3339), or the person\'s next local time such as "23:10"; now by default'),
]
Day = Annotated[str, Field(description="The day, such as 2026-11-24")]
Zone = Annotated[str, Field(description="The IANA time zone of the day, such as Europe/Berlin")]
Kind = Annotated[str | None, Field(description="Only this notification type, such as charging-complete")]
Channel = Annotated[str | None, Field(description="Only this channel: " + ", ".join(channels()))]
Reason = Annotated[str | None, Field(description="Only this reason, such as render_failed, bounced or quarantined")]
Letter = Annotated[str, Field(description="The dead letter's id, from dead_letters")]
Letters = Annotated[list[str], Field(description="The ids of the dead letters, from dead_letters", min_length=1)]


TextType = Annotated[str | None, Field(description="The notification type, such as charging-complete; all by default")]
SomeType = Annotated[str, Field(description="The notification type, such as charging-complete")]
Texts = Annotated[Json | None, Field(description="All texts by locale, in the form in which read_texts shows them")]
AllTexts = Annotated[Json, Field(description="All texts by locale, in the form in which read_texts shows them")]
Revision = Annotated[int, Field(description="The draft's revision that was read; 0 where there is no draft", ge=0)]
Why = Annotated[str, Field(description="The reason, kept in the history; required where there are warnings")]


class Tools:
    """The tools on a service. Each method is a tool: its docstring and its parameters' words are what models read.

    Every method raises ToolError, in words, for what the service refuses.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def explain(
        self,
        event: OurEvent = None,
        source: Source = None,
        id: SourceId = None,
        delivery: Delivery = None,
        recipient: Recipient = None,
        cursor: Cursor = None,
    ) -> Json:
        """Explain what became of an event, and why each person was or wasn't notified: the timeline, the rule that
        decided for each channel, each delivery with how it ended, and the words that were sent.

        Name the event by `event`, by `source` and `id`, or by a `delivery`. The answer holds personal data: tell only
        what was asked for.
        """
        asked = {
            "event": event, "source": source, "id": id, "delivery": delivery, "recipient": recipient, "cursor": cursor,
            "limit": PAGE,
        }  # fmt: skip
        return answers.explained(await self._service.get("/v1/explain", asked))

    async def simulate(self, type: EventType, data: Data, recipient: Recipient = None, at: Moment = None) -> Json:
        """Say what an event would do without reporting it: who would be notified, on which channel, when, in which
        words, or which rule would keep it back. Nothing is written and nothing is sent.

        Use `explain` for what has happened, `simulate` for what would. The answer holds personal data.
        """
        trial: Json = {"event": {"type": type, "data": data}}
        given = {name: value for name, value in (("recipient", recipient), ("at", at)) if value is not None}
        return answers.simulated(await self._service.post("/v1/simulate", trial | given))

    async def replay_day(self, day: Day, time_zone: Zone = "UTC", cursor: Cursor = None) -> Json:
        """Decide the events of a past day again, by the types and rules in force now, and count the answers that would
        differ, with examples for `explain`. Nothing is written and nothing is sent. A long day comes in several
        answers: go on with `next` as `cursor`, and add up.
        """
        pages: list[Json] = []
        while not pages or (len(pages) < REPLAYED and pages[-1]["next"]):
            after = pages[-1]["next"] if pages else cursor
            asked = {"day": day, "time_zone": time_zone, "cursor": after}
            pages.append(await self._service.get("/v1/replay", asked))
        return answers.added_up(pages)

    async def dead_letters(
        self, type: Kind = None, channel: Channel = None, reason: Reason = None, cursor: Cursor = None
    ) -> Json:
        """List dead letters, newest first: deliveries and events that failed for good and wait for a person, each with
        the reason in words. Use `dead_letter` for one in full before you redrive or discard it.
        """
        asked = {"type": type, "channel": channel, "reason": reason, "cursor": cursor, "limit": PAGE}
        return await self._service.get("/v1/dead", asked)

    async def dead_letter(self, id: Letter) -> Json:
        """Show one dead letter: every attempt, what its provider's codes mean, and the event that it comes from."""
        return await self._service.get(f"/v1/dead/{_step(id)}")

    async def redrive_dead_letters(self, ids: Letters) -> Json:
        """Send dead letters again: people get these messages. Do it once the cause is mended, and only when a person
        has asked for it. Repeating an id sends nothing twice; the answer has one result for each.
        """
        return await self._service.post("/v1/dead/redrive", {"ids": ids})

    async def discard_dead_letters(self, ids: Letters) -> Json:
        """Discard dead letters for good: they are never sent and no longer listed. Only when a person has asked for
        it; the answer has one result for each.
        """
        return await self._service.post("/v1/dead/discard", {"ids": ids})

    async def ledger(self) -> Json:
        """Count the books: whether every accepted event is decided and every planned delivery accounted for. `balanced`
        is false and `imbalance` other than 0 only where something was lost or doubled: that is an alarm.
        """
        return await self._service.get("/v1/ledger")

    async def read_texts(self, type: TextType = None) -> Json:
        """Read the texts of a notification type in every language, with the draft that somebody may be working on;
        without `type` list the types. Do it before you propose a change: `lint_texts` and `draft_texts` take all texts
        of a type, as they should be.
        """
        return await self._service.get("/v1/texts" if type is None else f"/v1/texts/{_step(type)}")

    async def lint_texts(self, type: SomeType, texts: Texts = None) -> Json:
        """Check texts as the gate does before a publication: errors block, warnings need a reason, hints need nothing.
        Nothing is saved. Without `texts` the draft is checked, or the live texts where there is none.
        """
        told = await self._check(type, texts)
        return {name: told[name] for name in ("type", "blocked", "needs_reason", "findings")}

    async def diff_texts(self, type: SomeType, texts: Texts = None) -> Json:
        """Show what texts would change for people, against the live ones: languages, channels, the fields named, and
        messages before and after, made of samples. Nothing is saved. Without `texts` the draft is compared.
        """
        told = await self._check(type, texts)
        return {name: told[name] for name in ("type", "locales_gained", "locales_lost", "changes")}

    async def draft_texts(self, type: SomeType, texts: AllTexts, revision: Revision) -> Json:
        """Save a draft of a type's texts, for somebody else to look at and publish in the console. Nobody gets these
        texts before. Run `lint_texts` and `diff_texts` on them first, and tell the person both.
        """
        return await self._service.put(f"/v1/texts/{_step(type)}/draft", {"texts": texts, "revision": revision})

    async def publish_texts(self, type: SomeType, revision: Revision, why: Why = "") -> Json:
        """Publish the draft of a type's texts: from then on people get them. The gate refuses errors, and warnings
        without a reason; and nobody publishes what the same key has drafted. Only when a person has asked for it,
        who has seen what `diff_texts` shows.
        """
        return await self._service.post(f"/v1/texts/{_step(type)}/publish", {"revision": revision, "why": why})

    async def _check(self, type_: str, texts: Json | None) -> Json:
        return await self._service.post(f"/v1/texts/{_step(type_)}/check", {} if texts is None else {"texts": texts})


def _step(id_: str) -> str:
    """Return an id as a step of a path; an id is letters, digits, dots and hyphens, and whatever else is none."""
    return "".join(sign for sign in id_ if sign.isascii() and (sign.isalnum() or sign in ".-_")) or "-"
