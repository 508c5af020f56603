"""Every plain argument and option of every command, walked: what no database keeps never gets past the shell."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from notifier.cli import COMMANDS, main
from notifier.cli.arguments import Text

REFUSED = ("a\x00b", "\x07", "a\x1b[31m", "a\x7fb", "\udcff", "a\ud800b")


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


ALL = list(commands(main))
PLACES = [(path, command, place) for path, command in ALL for place in command.params
          if isinstance(place.type, Text)]  # fmt: skip
IDS = [f"{' '.join(path)} {place.name}" for path, _, place in PLACES]


def good(place: click.Parameter) -> str:
    """Something that a parameter takes."""
    match place.type:
        case click.Choice(choices=choices):
            return str(choices[0])
        case click.DateTime():
            return "2026-03-09"
        case click.Path() | click.File():
            return "."
        case _:
            return "1"


def call(path: tuple[str, ...], command: click.Command, place: click.Parameter, odd: str) -> list[str]:
    """A call with something odd in one place, and with what else it needs."""
    given: list[str] = []
    for each in command.params:
        if each is not place and not each.required:
            continue
        value = odd if each is place else good(each)
        given += [f"{each.opts[-1]}={value}"] if isinstance(each, click.Option) else []
    words = [odd if each is place else good(each)
             for each in command.params if isinstance(each, click.Argument)]  # fmt: skip
    return [*path, *given, "--", *words]


def test_the_walk_knows_every_command() -> None:
    assert {path[0] for path, _ in ALL} == set(COMMANDS)
    assert len(PLACES) > 40
    # What is no file, choice, number or flag is checked
    unchecked = [(path, each.name) for path, command in ALL for each in command.params if each.type is click.STRING]
    assert unchecked == []


@pytest.mark.parametrize(("path", "command", "place"), PLACES, ids=IDS)
def test_what_is_no_text_is_refused_by_the_name_of_its_place(
    path: tuple[str, ...], command: click.Command, place: click.Parameter, tmp_path: object
) -> None:
    for odd in REFUSED:
        told = CliRunner().invoke(main, call(path, command, place, odd))

        # Nothing was opened: there is no database here
        assert told.exit_code == 2, (odd, told.output, told.exception)
        named = place.opts[-1] if isinstance(place, click.Option) else str(place.metavar or place.name)
        assert "Invalid value for" in told.output
        assert named.strip("[]….").split("]")[0].lower() in told.output.lower()
        assert "the value has a control character, or is not in the shell's encoding" in told.output
