"""The page of `archdsl look` as HTML: nothing is loaded, no script, one column on a narrow screen."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

from archdsl.inspecting.looking import Look
from archdsl.inspecting.panels import Panel
from archdsl.render.look_colours import scale
from archdsl.render.look_drawing import SIDE, input_picture, panel_picture
from archdsl.render.look_texts import about, drawn_text, end_texts, headline, note_text, place_text, without_text

_STYLE = f"""\
.archdsl-look{{font:14px/1.4 system-ui,sans-serif;overflow-wrap:anywhere}}
.archdsl-look .panels{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,{SIDE}px),{SIDE}px));
gap:24px;
align-items:end}}
.archdsl-look figure{{margin:0}}.archdsl-look img{{display:block;max-width:100%;height:auto}}
.archdsl-look figcaption{{margin-bottom:4px}}.archdsl-look small{{display:block;font-size:12px;opacity:.8}}
.archdsl-look .bar{{height:10px;margin-top:6px}}
.archdsl-look .ends{{display:flex;justify-content:space-between;font-size:12px;opacity:.8}}
"""
_PAGE_STYLE = """\
:root{color-scheme:light dark}body{margin:1.5rem auto;max-width:1150px;padding:0 1rem;background:#fff;color:#1b1f24}
@media (prefers-color-scheme:dark){body{background:#11161c;color:#e6edf3}}h1{font:600 1.4rem/1.3 system-ui,sans-serif}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STOPS = 9


def look_page(look: Look) -> str:
    """The page."""
    title = escape(headline(look))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>\n{_PAGE_STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n{_panels(look)}</body>\n</html>\n"
    )


def look_html(look: Look) -> str:
    """What a notebook shows."""
    return f"<strong>{escape(headline(look))}</strong>\n{_panels(look)}"


def _panels(look: Look) -> str:
    said = "".join(f"<p>{escape(line)}</p>\n" for line in about(look))
    figures = [_figure(input_picture(look), "the image as the network reads it", "the ring is the query", "", None)]
    for panel in look.panels:
        texts = (place_text(panel), drawn_text(panel), note_text(panel))
        figures.append(_figure(panel_picture(look, panel), *texts, panel))
    foot = f"<p>{escape(text)}</p>\n" if (text := without_text(look)) else ""
    body = f'{said}<div class="panels">\n{"".join(figures)}</div>\n{foot}'
    return f'<div class="archdsl-look">\n<style>\n{_STYLE}</style>\n{body}</div>\n'


def _figure(picture: Image.Image, title: str, drawn: str, note: str, panel: Panel | None) -> str:
    small = "".join(f"<small>{escape(text)}</small>" for text in (drawn, note) if text)
    alternative = escape(f"{title}: {drawn}", quote=True)
    image = f'<img width="{picture.width}" height="{picture.height}" alt="{alternative}" src="{_inline(picture)}">'
    caption = f"<figcaption><strong>{escape(title)}</strong>{small}</figcaption>"
    return f"<figure>{caption}{image}{'' if panel is None else _scale(panel)}</figure>\n"


def _scale(panel: Panel) -> str:
    stops = ",".join("rgb({},{},{})".format(*colour) for colour in scale(panel, _STOPS).tolist())
    low, high = (escape(text) for text in end_texts(panel))
    bar = f'<div class="bar" style="background:linear-gradient(90deg,{stops})"></div>'
    return f'{bar}<div class="ends"><span>{low}</span><span>{high}</span></div>'


def _inline(picture: Image.Image) -> str:
    """A picture as the address of its own bytes."""
    held = io.BytesIO()
    picture.save(held, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
