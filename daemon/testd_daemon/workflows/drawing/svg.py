"""Pieces of SVG. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["CHARACTER", "document", "element", "text", "titled"]

#: The width of a character of the font, on the safe side.
CHARACTER = 7.4
_FONT = "font-family: ui-sans-serif, system-ui, 'Helvetica Neue', Arial, sans-serif; font-size: 13px"


def document(width: float, height: float, title: str, body: Iterable[str]) -> str:
    """Return a picture: its size in pixels, what it is of, and what is in it."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" style="{_FONT}">'
    back = element("rect", width="100%", height="100%", fill="#ffffff")
    return "\n".join([head, f"<title>{escape(title)}</title>", back, *body, "</svg>"]) + "\n"


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an element; `_` in an attribute's name stands for `-`, and numbers have one decimal."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{content}</{name}>" if content else f"<{name}{said}/>"


def text(x: float, y: float, said: str, **attributes: object) -> str:
    """Return a text that begins, or has its middle, at a place."""
    return element("text", escape(said), x=x, y=y, **attributes)


def titled(said: str) -> str:
    """Return what is shown where the pointer rests."""
    return f"<title>{escape(said)}</title>"


def _value(value: object) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else escape(str(value))
