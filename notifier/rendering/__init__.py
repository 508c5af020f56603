"""Rendering: texts by type, channel and locale, filled with an event's data (docs/notification-types.md)."""

from notifier.rendering.renderer import Rendered, Renderer
from notifier.rendering.writing import Brand

__all__ = ["Brand", "Rendered", "Renderer"]
