"""What a tool answers: the API's answer without what a reader of words has no use for. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

HTML: Final = "html"
"""The part of a mail that says the same as its text, at ten times the length."""

_OF_DELIVERY = ("id", "channel", "state", "reason", "words", "meaning", "provider", "redrive_of", "digest", "proven")

_OF_CHANGE = ("type", "channel", "before", "after")
_COUNTS = ("events", "decisions", "answers", "differ", "by_today", "failed", "gone")


def explained(told: Mapping[str, Any]) -> Json:
    """Shorten an explanation: of the rules those that answered, of the content the words, of the person no facts."""
    return _given(
        {
            "event": _given(told["event"]),
            "state": told["state"],
            "decisions": [_decision(each) for each in told["decisions"]],
            "why_not": told["why_not"],
            "gone": told["gone"],
            "next": told["next"],
        }
    )


def simulated(told: Mapping[str, Any]) -> Json:
    """Shorten a simulation likewise."""
    return _given(
        {
            "at": told["at"],
            "notifications": [
                {
                    "type": fate["type"],
                    "recipient": fate["recipient"],
                    "local_time": fate["local_time"],
                    "answers": [_answer(each) for each in fate["answers"]],
                }
                for fate in told["fates"]
            ],
            "takes_back": told["takes_back"],
            "why_not": told["why_not"],
            "more_people": told["more"],
        }
    )


def added_up(pages: Sequence[Mapping[str, Any]]) -> Json:
    """Add up the pages of a replay: counts, and changes that are alike with the first page's examples."""
    changes: dict[tuple[str, ...], Json] = {}
    for page in pages:
        for each in page["changes"]:
            known = changes.setdefault(tuple(each[name] for name in _OF_CHANGE), each | {"count": 0})
            known["count"] += each["count"]
    counts = {name: sum(page[name] for page in pages) for name in _COUNTS}
    found = sorted(changes.values(), key=lambda each: -each["count"])
    return counts | {"changes": found, "next": pages[-1]["next"]}


def _decision(told: Mapping[str, Any]) -> Json:
    return _given(
        {
            "type": told["type"],
            "recipient": told["recipient"],
            "decided_at": told["decided_at"],
            "timeline": [_line(each) for each in told["timeline"]],
            "answers": [_answer(each) for each in told["answers"]],
            "deliveries": [
                _given({name: each[name] for name in _OF_DELIVERY} | {"content": _words(each["content"])})
                for each in told["deliveries"]
            ],
        }
    )


def _line(told: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (told["at"], told["channel"], told["words"])))


def _answer(told: Mapping[str, Any]) -> Json:
    return _given(
        {
            "channel": told["channel"],
            "answer": told["answer"],
            "words": told["words"],
            "because": _because(told["rules"]),
            "rules_changed_since": True if told.get("unchanged") is False else None,
            "repeat": told.get("repeat") or None,
            "content": _words(told.get("content")),
        }
    )


def _because(rules: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the words of the first rule that has an answer: the one that decided."""
    return next((each["words"] for each in rules if each["says"] is not None), None)


def _words(content: Mapping[str, Any] | None) -> Json | None:
    return None if content is None else _given({name: part for name, part in content.items() if name != HTML})


def _given(told: Mapping[str, Any]) -> Json:
    """Return a document without the members that say nothing."""
    return {name: value for name, value in told.items() if value is not None and value not in ([], {})}
