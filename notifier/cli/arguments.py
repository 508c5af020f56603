"""What the shell hands over, checked before anything else sees it: arguments are text that each database can keep."""

import getpass
from typing import Any

import click
import msgspec

from notifier.domain.text import is_text

MAX_ACTOR = 190  # characters: what the column of an audit record's actor holds


class Text(click.ParamType[Any]):
    """Text that may go to the database; of a `shape`, where one is given, which `told` puts in words."""

    name = "text"

    def __init__(self, shape: Any = str, told: str = "") -> None:
        self._shape = shape
        self._told = told

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """The value; raises BadParameter, which names the argument."""
        if not is_text(value):
            self.fail("it has a control character, or is not in the shell's encoding", param, context)
        try:
            return msgspec.convert(value, self._shape)
        except msgspec.ValidationError:
            self.fail(self._told, param, context)


TEXT = Text()


def checked(command: click.Command) -> click.Command:
    """The same command, whose plain arguments and options are `Text`: files and numbers have checks of their own."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = TEXT
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        checked(inner)
    return command


def actor() -> str:
    """Who the audit says did it: whoever is signed in to the shell."""
    name = getpass.getuser()
    return f"cli:{name}"[:MAX_ACTOR] if is_text(name) else "cli"
