"""HTML as text that cannot be broken out of: whatever is not `Markup` is escaped."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escaped(value: object) -> Markup:
    """A value as HTML: markup as it is, anything else escaped; control characters as their escapes."""
    if isinstance(value, Markup):
        return value
    shown = "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(value))
    return Markup(html.escape(shown))


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """One element with its content; an attribute `class_` is `class`, `aria_label` `aria-label`, None is left out."""
    named = (
        f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{''.join(named)}>{''.join(escaped(part) for part in content)}</{tag}>")


def together(parts: Iterable[object]) -> Markup:
    """Parts one after the other, a line each."""
    return Markup("\n".join(escaped(part) for part in parts))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[int] = ()) -> Markup:
    """A table whose first column names the rows; the columns `right` hold numbers."""
    top = together(_cell("th", head, place, right, scope="col") for place, head in enumerate(heads))
    body = together(
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(_cell("td", cell, place, right) for place, cell in enumerate(row[1:], 1)),
        )
        for row in rows
    )
    parts = element("caption", caption), element("thead", element("tr", top)), element("tbody", body)
    return element("div", element("table", *parts), class_="wide")


def _cell(tag: str, cell: object, place: int, right: Sequence[int], **attributes: object) -> Markup:
    return element(tag, cell, class_="number" if place in right else None, **attributes)


def bar(share: float) -> Markup:
    """A bar of so much of its room; its number stands beside it."""
    width = f"width: {100 * min(max(share, 0.0), 1.0):.1f}%"
    return element("div", element("span", style=width), class_="bar", aria_hidden="true")


def listed(lines: Iterable[object]) -> Markup:
    """A bulleted list."""
    return element("ul", *(element("li", line) for line in lines))


def details(summary: str, value: object) -> Markup:
    """Values as JSON, folded away; nothing for nothing."""
    written = json.dumps(value, indent=1, ensure_ascii=False)
    return element("details", element("summary", summary), element("pre", written)) if value else Markup()
