"""How an event is reported, as a program that can be copied and run, in each language that has a client."""

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

INDENT: Final = "    "


def snippets(event: Mapping[str, Any], url: str) -> dict[str, str]:
    """Return programs that report an event to the service at a URL, by language.

    Each reads the API key from the environment variable NOTIFIER_API_KEY.
    """
    return {language: write(event, url) for language, write in _LANGUAGES.items()}


def _curl(event: Mapping[str, Any], url: str) -> str:
    body = json.dumps(event, indent=2, ensure_ascii=False)
    return (
        f"curl -X POST {shlex.quote(url + '/v1/events')} \\\n"
        '  -H "Authorization: Bearer $NOTIFIER_API_KEY" \\\n'
        "  -H 'Content-Type: application/cloudevents+json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _python(event: Mapping[str, Any], url: str) -> str:
    return (
        "import os\n\n"
        "from notifier.client import Producer\n\n"
        f"data = {_literal(event['data'])}\n\n"
        f'with Producer({_literal(url)}, os.environ["NOTIFIER_API_KEY"], {_literal(event["source"])}) as producer:\n'
        f"    producer.send({_literal(event['type'])}, data, id={_literal(event['id'])})"
    )


def _literal(value: Any, inside: str = "") -> str:
    """Return a value as Python writes it, in the way of the code around: double quotes, a member a line."""
    if isinstance(value, dict):
        deeper = inside + INDENT
        members = (f"{deeper}{_literal(name)}: {_literal(each, deeper)},\n" for name, each in value.items())
        return f"{{\n{''.join(members)}{inside}}}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


_LANGUAGES: Final[Mapping[str, Callable[[Mapping[str, Any], str], str]]] = {"curl": _curl, "Python": _python}
