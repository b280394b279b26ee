"""A figure as a file, and as a part of a page: the same bytes every time."""

import html
import io
import re

import matplotlib as mpl
from matplotlib.figure import Figure

from vfljax.reports import drawing

_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
}


def picture(figure: Figure, file_format: str) -> bytes:
    """The figure as a file's bytes: "png", "pdf", or "svg" with real text."""
    buffer = io.BytesIO()
    with mpl.rc_context(drawing.LOOK):
        figure.savefig(buffer, format=file_format, metadata=_METADATA[file_format])
    return buffer.getvalue()


def inline_svg(figure: Figure, name: str, title: str, words: str) -> str:
    """The figure as an `<svg>` element for a page, named and described.

    Args:
        figure: what to draw.
        name: of letters, digits and underscores; ids start with it, so that figures of
            different names can stand in one page.
        title: what it is.
        words: what it shows, for those who do not see it.
    """
    svg = picture(figure, "svg").decode()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    start, rest = svg.split(">", 1)
    return (
        f'{start} role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-desc">{html.escape(words)}</desc>{rest}'
    )
