"""Texts as readable files for git: `<locale>.toml`, with a table for each channel."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from notifier.rendering.texts import Texts, Wording

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\f": "\\f", "\r": "\\r", "\t": "\\t", "\n": "\\n"}


def write_wording(folder: Path, wording: Wording) -> list[Path]:
    """Write a type's texts into its folder, delete the files of removed locales, and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.toml"):
        if file.name != "type.toml" and file.stem not in wording:
            file.unlink()
    written = []
    for locale, texts in wording.items():
        file = folder / f"{locale}.toml"
        file.write_text(to_toml(texts), "utf-8")
        written.append(file)
    return written


def to_toml(texts: Texts) -> str:
    """Return one locale's texts as TOML that reads back to equal texts."""
    tables: Mapping[str, Mapping[str, object]] = msgspec.to_builtins(texts)
    return "\n".join(line for name, table in tables.items() if table for line in _table(name, table)) + "\n"


def _table(name: str, table: Mapping[str, object]) -> Iterator[str]:
    yield f"[{name}]"
    nested = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if key not in nested:
            yield f"{key} = {_text(str(value))}"
    yield ""
    for key, value in nested.items():
        yield f"[{name}.{key}]"
        for label, text in value.items():
            yield f"{_line(label)} = {_text(str(text))}"
        yield ""


def _text(text: str) -> str:
    if "\n" not in text.strip("\n") and not text.endswith("\n"):
        return _line(text)
    body = "".join(letter if letter in "\n\t" else _escaped(letter) for letter in text)
    return f'"""\n{body}"""'


def _line(text: str) -> str:
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x20 or ord(letter) == 0x7F else letter
