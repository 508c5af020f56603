"""Command-line arguments, checked before use: text that every supported database can store."""

import getpass
from typing import Any

import click
import msgspec

from notifier.domain.identifiers import read_id
from notifier.domain.ids import is_id
from notifier.domain.text import is_text
from notifier.runtime.addresses import listen_address

MAX_ACTOR = 190  # characters: the width of the audit log's actor column


class Text(click.ParamType[Any]):
    """A parameter type for text that the database can store, optionally of a `shape`, which `told` describes."""

    name = "text"

    def __init__(self, shape: Any = str, told: str = "") -> None:
        self._shape = shape
        self._told = told

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the checked text; raises BadParameter, which names the argument."""
        if not is_text(value):
            self.fail("the value has a control character, or is not in the shell's encoding", param, context)
        try:
            return msgspec.convert(value, self._shape)
        except msgspec.ValidationError:
            self.fail(self._told, param, context)


class IdText(Text):
    """A parameter type for an id, which may be copied from a database; what is none is left as it is, to be told so."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the id as the notifier writes it."""
        given = super().convert(value, param, context)
        return read_id(given) or given


class OwnIdText(IdText):
    """A parameter type for an id of ours; what is none is refused, with the way to name an event by its source's id."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        """Return the id as the notifier writes it; raises BadParameter."""
        given = super().convert(value, param, context)
        if not is_id(given):
            self.fail(
                f"{given!r} is no id of the notifier's, which has 32 hex digits; "
                "name an event by the id that its source gave it: --source SOURCE --id ID",
                param,
                context,
            )
        return given


class ListenAddress(click.ParamType[str]):
    """A parameter type for an address to listen on, `host:port`."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return the address in its one form; raises BadParameter."""
        try:
            return listen_address(str(value))
        except ValueError as error:
            self.fail(f"it {error}", param, context)


TEXT = Text()
ID = IdText()
OWN_ID = OwnIdText()


def checked(command: click.Command) -> click.Command:
    """Make a command check its plain text arguments and options as `Text`; files and numbers have their own checks."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = TEXT
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        checked(inner)
    return command


def actor() -> str:
    """Return the actor for the audit log: the user signed in to the shell."""
    name = getpass.getuser()
    return f"cli:{name}"[:MAX_ACTOR] if is_text(name) else "cli"
