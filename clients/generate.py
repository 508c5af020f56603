"""Types of the data of each event type, for the clients, made of the OpenAPI document: `make client-types` writes them.

A member that may be left out is optional in TypeScript, null in Java, and nil in Go.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from notifier.api.app import ENDPOINTS
from notifier.api.openapi import document
from notifier.domain.catalog_files import load_catalog

HERE: Final = Path(__file__).parent
JAVA: Final = HERE / "java/src/main/java/io/github/notifier/client/events"
MADE: Final = "Made by `make client-types` of the OpenAPI document."
EVENT: Final = "event."
"""What the names of the schemas of events' data begin with."""

Schema = Mapping[str, Any]
GO_TYPES: Final = {"string": "string", "number": "float64", "integer": "int64", "boolean": "bool"}
JAVA_TYPES: Final = {"string": "String", "number": "BigDecimal", "integer": "Long", "boolean": "Boolean"}
TYPESCRIPT_TYPES: Final = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean"}


def files() -> dict[Path, str]:
    """Return what the generated files say, by their paths."""
    schemas: dict[str, Schema] = document(ENDPOINTS, [], load_catalog(HERE.parent / "templates"), "")["components"][
        "schemas"
    ]
    events = {name: schema for name, schema in schemas.items() if name.startswith(EVENT)}
    money = {"Money": schemas["Money"]}
    java = {JAVA / f"{class_name(name)}.java": java_record(name, schema) for name, schema in (money | events).items()}
    return {
        HERE / "typescript/src/events.ts": typescript(money, events),
        HERE / "go/events.go": go(money | events),
        **java,
    }


def class_name(schema: str) -> str:
    """Return the name of a schema's type: `ChargingComplete` for `event.charging.complete`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[._]", schema.removeprefix(EVENT)))


def typescript(money: dict[str, Schema], events: dict[str, Schema]) -> str:
    """Return the TypeScript module with an interface for each event's data."""
    parts = [f"/** {MADE} */"]
    parts += ["\n".join(_interface(name, schema)) for name, schema in (money | events).items()]
    index = [f'  "{name.removeprefix(EVENT)}": {class_name(name)};' for name in events]
    parts.append("\n".join(["/** The data of each event type. */", "export interface EventData {", *index, "}"]))
    return "\n\n".join(parts) + "\n"


def _interface(name: str, schema: Schema) -> Iterator[str]:
    yield f"/** {schema['description']} */"
    yield f"export interface {class_name(name)} {{"
    for member, told in schema["properties"].items():
        if "description" in told:
            yield f"  /** {told['description']}. */"
        optional = "" if member in schema["required"] else "?"
        yield f"  {member}{optional}: {_typescript(_given(told))};"
    yield "}"


def _typescript(told: Schema) -> str:
    match told:
        case {"$ref": reference}:
            return class_name(reference.rpartition("/")[2])
        case {"enum": values}:
            return " | ".join(f'"{value}"' for value in values)
        case {"format": "date-time"}:
            return "string | Date"
        case {"type": type_}:
            return TYPESCRIPT_TYPES[type_]
        case _:
            raise ValueError(f"no TypeScript type for {told}")


def go(schemas: dict[str, Schema]) -> str:
    """Return the Go file with a struct for each event's data."""
    parts = [f'package notifier\n\n// {MADE}\n\nimport "time"']
    parts += ["\n".join(_struct(name, schema)) for name, schema in schemas.items()]
    return "\n\n".join(parts) + "\n"


def _struct(name: str, schema: Schema) -> Iterator[str]:
    own = class_name(name)
    members = [
        (
            "".join("ID" if part == "id" else _upper(part) for part in member.split("_")),
            member,
            _go(_given(told)),
            member in schema["required"],
        )
        for member, told in schema["properties"].items()
    ]
    shown = [(go, f"{'' if needed else '*'}{type_}") for go, _, type_, needed in members]
    told = any("description" in each for each in schema["properties"].values())  # gofmt aligns what no comment divides
    names, types = (0 if told else max(len(each[column]) for each in shown) for column in (0, 1))
    yield f"// {own}: {schema['description'][:1].lower()}{schema['description'][1:]}"
    yield f"type {own} struct {{"
    for (go, type_), (_, member, _, needed) in zip(shown, members, strict=True):
        if "description" in schema["properties"][member]:
            yield f"\t// {schema['properties'][member]['description']}."
        yield f'\t{go:{names}} {type_:{types}} `json:"{member}{"" if needed else ",omitempty"}"`'
    yield "}"


def _go(told: Schema) -> str:
    match told:
        case {"$ref": reference}:
            return class_name(reference.rpartition("/")[2])
        case {"format": "date-time"}:
            return "time.Time"
        case {"type": type_}:
            return GO_TYPES[type_]
        case _:
            raise ValueError(f"no Go type for {told}")


def java_record(name: str, schema: Schema) -> str:
    """Return the Java source of a record for a schema."""
    own = class_name(name)
    members = [
        (member, _camel(member), _given(told), member in schema["required"])
        for member, told in sorted(schema["properties"].items(), key=lambda each: each[0] not in schema["required"])
    ]
    types = [_java(own, java, told) for _, java, told, _ in members]
    imports = ["com.fasterxml.jackson.annotation.JsonInclude", "com.fasterxml.jackson.annotation.JsonProperty"]
    imports += ["java.math.BigDecimal"] if "BigDecimal" in types else []
    imports += ["java.time.Instant"] if "Instant" in types else []
    imports += ["java.util.Objects"]
    lines = [f"// {MADE}", "package io.github.notifier.client.events;", ""]
    lines += [*(f"import {each};" for each in imports), "", "/**", f" * {schema['description']}", " *"]
    lines += [
        f" * @param {java} {schema['properties'][member].get('description', member)}{'' if needed else ', or null'}"
        for member, java, _, needed in members
    ]
    lines += [" */", "@JsonInclude(JsonInclude.Include.NON_NULL)", f"public record {own}("]
    shown = [
        f'        @JsonProperty("{each[0]}") {type_} {each[1]}' for each, type_ in zip(members, types, strict=True)
    ]
    lines += [",\n".join(shown) + ") {"]
    checks = [f'        Objects.requireNonNull({java}, "{java}");' for _, java, _, needed in members if needed]
    lines += [f"    public {own} {{", *checks, "    }"]
    for _, java, told, _ in members:
        if "enum" in told:
            lines += ["", *_java_enum(_upper(java), told["enum"])]
    return "\n".join([*lines, "}", ""])


def _java_enum(name: str, values: list[str]) -> Iterator[str]:
    yield f"    public enum {name} {{"
    for value in values:
        yield f'        @JsonProperty("{value}") {value.upper()}{";" if value == values[-1] else ","}'
    yield "    }"


def _java(own: str, member: str, told: Schema) -> str:
    match told:
        case {"$ref": reference}:
            return class_name(reference.rpartition("/")[2])
        case {"enum": _}:
            return f"{own}.{_upper(member)}"
        case {"format": "date-time"}:
            return "Instant"
        case {"type": type_}:
            return JAVA_TYPES[type_]
        case _:
            raise ValueError(f"no Java type for {told}")


def _given(told: Schema) -> Schema:
    """Return the schema of a member that is given, which is never null."""
    left: list[Schema] = [each for each in told.get("anyOf", [told]) if each != {"type": "null"}]
    return left[0]


def _camel(member: str) -> str:
    first, *others = member.split("_")
    return first + "".join(map(_upper, others))


def _upper(word: str) -> str:
    return word[:1].upper() + word[1:]


def main() -> None:
    """Write the files."""
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
