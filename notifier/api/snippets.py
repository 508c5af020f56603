"""How an event is reported, as a program that can be copied and run, in each language that has a client."""

import json
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

INDENT: Final = "    "


class Syntax(NamedTuple):
    """How a language writes values: the signs around an object and an array, a member of an object, and its words for
    true and false. `bare` says that a member's name has no quotes where it is an identifier."""

    object: tuple[str, str]
    member: str
    array: tuple[str, str]
    words: tuple[str, str]
    indent: str = INDENT
    ends: str = ","
    bare: bool = False


PYTHON: Final = Syntax(("{", "}"), "{}: {}", ("[", "]"), ("True", "False"))
JAVA: Final = Syntax(
    ("Map.ofEntries(", ")"), "Map.entry({}, {})", ("java.util.List.of(", ")"), ("true", "false"), ends=""
)  # fmt: skip
TYPESCRIPT: Final = Syntax(("{", "}"), "{}: {}", ("[", "]"), ("true", "false"), bare=True)
GO: Final = Syntax(("map[string]any{", "}"), "{}: {}", ("[]any{", "}"), ("true", "false"), indent="\t")


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
        f"data = {_literal(event['data'], PYTHON)}\n\n"
        f'with Producer({_text(url)}, os.environ["NOTIFIER_API_KEY"], {_text(event["source"])}) as producer:\n'
        f"    producer.send({_text(event['type'])}, data, id={_text(event['id'])})"
    )


def _java(event: Mapping[str, Any], url: str) -> str:
    inside = 3 * INDENT
    return (
        "import io.github.notifier.client.Event;\n"
        "import io.github.notifier.client.Producer;\n"
        "import java.util.Map;\n\n"
        "class Report {\n"
        "    public static void main(String[] arguments) throws Exception {\n"
        f'        var builder = Producer.builder({_text(url)}, System.getenv("NOTIFIER_API_KEY"), '
        f"{_text(event['source'])});\n"
        "        try (var producer = builder.build()) {\n"
        f"            var data = {_literal(event['data'], JAVA, inside)};\n"
        f"            producer.send(new Event({_text(event['type'])}, data, {_text(event['id'])}));\n"
        "        }\n"
        "    }\n"
        "}"
    )


def _typescript(event: Mapping[str, Any], url: str) -> str:
    return (
        'import { Producer } from "notifier-client";\n\n'
        "const producer = new Producer({\n"
        f"    url: {_text(url)},\n"
        "    key: process.env.NOTIFIER_API_KEY!,\n"
        f"    source: {_text(event['source'])},\n"
        "});\n"
        "await producer.send({\n"
        f"    type: {_text(event['type'])},\n"
        f"    id: {_text(event['id'])},\n"
        f"    data: {_literal(event['data'], TYPESCRIPT, INDENT)},\n"
        "});\n"
        "await producer.close();"
    )


def _go(event: Mapping[str, Any], url: str) -> str:
    return (
        "package main\n\n"
        "import (\n"
        '\t"context"\n'
        '\t"log"\n'
        '\t"os"\n\n'
        '\tnotifier "github.com/notifier/notifier/clients/go"\n'
        ")\n\n"
        "func main() {\n"
        "\tproducer, err := notifier.Open(notifier.Options{\n"
        f"\t\tURL:    {_text(url)},\n"
        '\t\tKey:    os.Getenv("NOTIFIER_API_KEY"),\n'
        f"\t\tSource: {_text(event['source'])},\n"
        "\t})\n"
        "\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n"
        "\tdefer producer.Close(context.Background())\n"
        f"\tdata := {_literal(event['data'], GO, GO.indent)}\n"
        f"\tevent := notifier.Event{{Type: {_text(event['type'])}, ID: {_text(event['id'])}, Data: data}}\n"
        "\tif _, err := producer.Send(context.Background(), event); err != nil {\n\t\tlog.Print(err)\n\t}\n"
        "}"
    )


def _text(value: str) -> str:
    """Return a text in double quotes; what JSON escapes every one of the languages reads alike."""
    return json.dumps(value, ensure_ascii=False)


def _literal(value: Any, syntax: Syntax, inside: str = "") -> str:
    """Return a value as a language writes it, a member of an object a line; `inside` is the indent
    of the code around it. Samples are TOML, which has no null."""
    if isinstance(value, dict):
        begins, ends = syntax.object
        deeper = f"\n{inside}{syntax.indent}"
        members = (
            deeper + syntax.member.format(_name(name, syntax), _literal(each, syntax, deeper[1:]))
            for name, each in value.items()
        )
        return f"{begins}{','.join(members)}{syntax.ends}\n{inside}{ends}" if value else begins + ends
    if isinstance(value, list):
        begins, ends = syntax.array
        return f"{begins}{', '.join(_literal(each, syntax, inside) for each in value)}{ends}"
    if isinstance(value, bool):
        return syntax.words[not value]
    return _text(value) if isinstance(value, str) else repr(value)


def _name(name: str, syntax: Syntax) -> str:
    return name if syntax.bare and name.isidentifier() else _text(name)


_LANGUAGES: Final[Mapping[str, Callable[[Mapping[str, Any], str], str]]] = {
    "curl": _curl, "Python": _python, "Java": _java, "TypeScript": _typescript, "Go": _go,
}  # fmt: skip
