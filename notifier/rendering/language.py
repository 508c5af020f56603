"""The small language that texts are written in, checked when the process starts.

    {{ station }}                a text field, brand or link
    {{ energy_kwh | energy }}    any other field, through a filter of notifier.rendering.formats
    {% if cost %} … {% elif kind == 'full' and not blocked %} … {% else %} … {% endif %}

No loops, arithmetic, calls or attributes: so a text can neither run away nor reach anything, and what passes these
checks can't fail at sending for a misspelt field, a missing optional value or a filter that doesn't fit. Jinja's
sandbox and StrictUndefined stand behind that all the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifier.domain.catalog import Field, Kind, Money
from notifier.domain.errors import ConfigurationError, RenderError
from notifier.domain.text import is_text, text_fault
from notifier.rendering.formats import FORMATS, Format, make_filter

Fields = Mapping[str, Field]
Sure = frozenset[str]  # the fields that the enclosing conditions guarantee to be present

DEFAULT_LOCALE = "en"  # every type has texts in this locale, for readers whose language the type lacks

MAX_SOURCE = 40_000  # characters of a part: a mail's design has some thousands, other parts some hundreds
MAX_DEPTH = 8  # depth of nested conditions: more are unreadable

FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, OSError)
"""Exceptions of rendering a text; OSError and LookupError mean a time zone that this machine lacks."""

_UNENDED = "a condition has no end: write {% endif %} behind it"
_UNREADABLE = "what stands in {{ … }} or {% … %} can't be read: a bracket, a name or a sign is missing or too many"

_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Getattr: "a dot behind a field",
    nodes.Getitem: "square brackets behind a field",
    nodes.Call: "brackets behind a name that is no filter",
    nodes.Compare: "this comparison",
    nodes.Filter: "a filter of anything but a field",
    nodes.Name: "a field in a filter's brackets",
    nodes.Const: "a value by itself",
    nodes.For: "a loop",
    nodes.CondExpr: "a condition within {{ … }}",
    nodes.Test: "“is …”",
}
"""Constructs of Jinja that texts may not use, in the authors' words."""

_TRIALS: Mapping[Kind, object] = {
    "money": Money(1.5, "EUR"),
    "number": 1.5,
    "integer": 1,
    "time": datetime(2026, 3, 9, 17, 42, tzinfo=UTC),
}


def make_environment(*, html: bool) -> ImmutableSandboxedEnvironment:
    """Make a Jinja sandbox with our filters and nothing else; only HTML is escaped."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=html, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.clear()
    environment.filters = {name: make_filter(form) for name, form in FORMATS.items()}
    return environment


_TEXTS = make_environment(html=False)
_NOTHING = _TEXTS.from_string("")


def one_line(text: str) -> str:
    """Collapse every run of blanks and line breaks into one blank; no-break spaces stay."""
    return b" ".join(text.encode().split()).decode()  # bytes.split splits at ASCII blanks only


def make_context(values: dict[str, Any]) -> Context:
    """Return the context that a message's parts are rendered with: its values, `locale` and `zone`."""
    return _NOTHING.new_context(values, shared=True)


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled text, such as the title of a push: its file and place, its code, and the fields that it uses."""

    where: str
    root: Callable[[Context], Iterable[str]]
    uses: frozenset[str]

    def render(self, context: Context) -> str:
        """Render the text; raises RenderError, which names the place and the fields but never their values."""
        try:
            return "".join(self.root(context))
        except FAILURES as error:
            used = ", ".join(sorted(self.uses))
            raise RenderError(
                f"{self.where}: {type(error).__name__} from one of: {used}",
                f"no text can be made of what this event says of: {used}",
            ) from None


def compile_text(where: str, source: str, fields: Fields) -> Part:
    """Compile a part from its source; raises ConfigurationError with place and line where the language forbids
    something.

    Jinja only parses before the checks, so a costly constant expression is never folded.
    """
    if len(source) > MAX_SOURCE:
        raise ConfigurationError(f"{where} has {len(source)} characters; the limit is {MAX_SOURCE}")
    if fault := text_fault(source):
        raise ConfigurationError(f"{where}, {fault}")
    try:
        tree = _parse(source)
        _check_all(tree.body, fields, frozenset())
        template = _TEXTS.from_string(tree)
    except TemplateSyntaxError as error:
        raise ConfigurationError(f"{where}, line {error.lineno}: {error.message}") from None
    except ValueError as error:  # a number has more digits than Python parses
        raise ConfigurationError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigurationError(
            f"{where} is nested too deeply; {MAX_DEPTH} conditions in each other are enough"
        ) from None
    return Part(where, template.root_render_func, frozenset(name.name for name in tree.find_all(nodes.Name)))


def _parse(source: str) -> nodes.Template:
    """Parse a text; a syntax error is reported in the words of authors, not of a parser."""
    try:
        return _TEXTS.parse(source)
    except TemplateSyntaxError as error:
        ends = "Unexpected end of template" in (error.message or "")
        raise TemplateSyntaxError(_UNENDED if ends else _UNREADABLE, error.lineno) from None


def _check_all(body: Iterable[nodes.Node], fields: Fields, sure: Sure, depth: int = 0) -> None:
    for node in body:
        if depth > MAX_DEPTH:
            raise _error(node, f"conditions are nested {depth} deep; {MAX_DEPTH} are enough")
        match node:
            case nodes.Output():
                for shown in node.nodes:
                    _check_shown(shown, fields, sure)
            case nodes.If():
                _check_all(node.body, fields, sure | _check_test(node.test, fields, sure), depth + 1)
                _check_all(node.elif_, fields, sure, depth + 1)
                _check_all(node.else_, fields, sure, depth + 1)
            case _:
                raise _refusal(node)


def _check_shown(node: nodes.Expr, fields: Fields, sure: Sure) -> None:
    match node:
        case nodes.TemplateData():
            pass
        case nodes.Name():
            field = _field(node, fields, sure)
            if field.type != "text":
                raise _error(node, f"{node.name} is {field.type}: write it with a filter ({_filters_for(field)})")
            if field.one_of:
                raise _error(node, f"{node.name} is a code, not words: use {{% if {node.name} == … %}}")
        case nodes.Filter(node=nodes.Name() as name):
            _check_filter(node, _field(name, fields, sure))
        case _:
            raise _refusal(node)


def _check_filter(node: nodes.Filter, field: Field) -> None:
    if node.name not in FORMATS:
        raise _error(node, f"there is no filter {node.name}; there are {', '.join(FORMATS)}")
    form = FORMATS[node.name]
    if field.type not in form.kinds:
        raise _error(node, f"{node.name} doesn't take {field.type} ({_filters_for(field)})")
    if node.dyn_args or node.dyn_kwargs:
        raise _refusal(node)
    details = [_constant(argument) for argument in node.args]
    more = {str(argument.key): _constant(argument.value) for argument in node.kwargs}
    try:
        form.function(_TRIALS[field.type], DEFAULT_LOCALE, *["UTC"] * form.zoned, *details, **more)
    except FAILURES as error:
        ours = isinstance(error, ValueError) and str(error).startswith("takes ")
        raise _error(node, f"{node.name}: {error if ours else _takes(form)}") from None


def _check_test(node: nodes.Node, fields: Fields, sure: Sure) -> Sure:
    """Check a condition; return the fields that are present wherever the condition holds."""
    match node:
        case nodes.Name():
            _field(node, fields, frozenset({node.name}))
            return frozenset({node.name})
        case nodes.Not():
            _check_test(node.node, fields, sure)
            return frozenset()
        case nodes.And():
            left = _check_test(node.left, fields, sure)
            return left | _check_test(node.right, fields, sure | left)
        case nodes.Or():
            return _check_test(node.left, fields, sure) & _check_test(node.right, fields, sure)
        case nodes.Compare(expr=nodes.Name() as name, ops=[nodes.Operand(op="eq" | "ne" as sign, expr=other)]):
            field, value = _field(name, fields, frozenset({name.name})), _constant(other)
            if field.type != "text" or not isinstance(value, str):
                raise _error(node, f"{name.name} is {field.type}: only text fields can be compared, with text")
            if field.one_of and value not in field.one_of:
                raise _error(node, f"{name.name} is never {value!r}; it is one of {', '.join(field.one_of)}")
            return frozenset({name.name} if sign == "eq" else ())
        case _:
            raise _refusal(node)


def _field(node: nodes.Name, fields: Fields, sure: Sure) -> Field:
    if node.name not in fields:
        raise _error(node, f"there is no field {node.name}; there are {', '.join(fields)}")
    if fields[node.name].optional and node.name not in sure:
        raise _error(node, f"{node.name} is optional: put this inside {{% if {node.name} %}} … {{% endif %}}")
    return fields[node.name]


def _constant(node: nodes.Node) -> Any:
    if not isinstance(node, nodes.Const):
        raise _refusal(node)
    if isinstance(node.value, str) and not is_text(node.value):  # from an escape that Jinja decodes, such as \0
        raise _error(node, f"{node.value!a} has what is no character of a text")
    return node.value


def _filters_for(field: Field) -> str:
    return ", ".join(name for name, form in FORMATS.items() if field.type in form.kinds) or "it takes none"


def _takes(form: Format) -> str:
    """Describe a filter's arguments for an error: `what stands in its brackets doesn't fit; there may be form
    (text)`."""
    given = list(signature(form.function).parameters.values())[2 + form.zoned :]
    told = ", ".join(f"{each.name} ({'a whole number' if 'int' in str(each.annotation) else 'text'})" for each in given)
    return f"what stands in its brackets doesn't fit; {f'there may be {told}' if told else 'it has none'}"


def _refusal(node: nodes.Node) -> TemplateSyntaxError:
    told = _REFUSED.get(type(node), f"{type(node).__name__.lower()} …")
    return _error(node, f"{told} can't be used in texts; docs/notification-types.md says what can")


def _error(node: nodes.Node, message: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(message, node.lineno)
