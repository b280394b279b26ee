"""The page: complete in itself, valid, and looked at in a real browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium; apt-get install chromium gives one"
)
_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Reader(HTMLParser):
    """Elements with their attributes; tags that are not closed in order fail."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


def test_it_needs_nothing_else(page):
    text = page.read_text()
    reader = Reader(text)
    for _, attributes in reader.elements:
        for name in ("src", "href", "xlink:href", "action", "poster", "data"):
            target = attributes.get(name) or "#"
            assert target.startswith("#") or target == "data:,"
        assert not any(name.startswith("on") for name in attributes)
    assert reader.all("script", "iframe", "object", "embed", "base", "img") == []
    assert "@import" not in text
    assert "@font-face" not in text
    assert set(re.findall(r"url\((.)", text)) <= {"#"}
    namespaces = re.findall(r'xmlns(?::\w+)?="[^"]*"', text)
    assert text.count("://") == len(namespaces)  # names, which nobody asks for


def test_its_parts(page):
    text = page.read_text()
    reader = Reader(text)
    assert text.startswith("<!doctype html>")
    assert len(reader.all("h1")) == 1
    assert len(reader.all("article")) == 2
    assert [a["class"] for a in reader.all("article")] == ["open", "take"]
    assert "Take gaussian noise_std=0.1." in text
    assert "&lt;smooth &amp; round&gt;" in text
    assert "<smooth" not in text
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for attributes in reader.all("a"):
        assert attributes["href"].removeprefix("#") in ids
    references = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text)
    assert {one or other for one, other in references} <= set(ids)


def test_every_picture_is_named_and_has_real_text(page):
    text = page.read_text()
    pictures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert pictures
    ids = {a.get("id") for _, a in Reader(text).elements}
    for picture in pictures:
        assert re.search(r"<title[^>]*>[^<]+</title><desc[^>]*>[^<]+</desc>", picture)
        (named,) = re.findall(r'aria-labelledby="([^"]+)"', picture)
        assert set(named.split()) <= ids
        assert "<text" in picture
        assert "<metadata" not in picture


def test_it_is_for_light_dark_and_paper(page):
    text = page.read_text()
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert '<meta name="color-scheme" content="light dark">' in text
    assert "width=device-width" in text


def test_how_to_compute_it_again(page):
    text = page.read_text()
    assert "<dd>vfljax run tried</dd>" in text
    config = text[text.index("<pre") : text.index("</pre>")].split(">", 1)[1]
    assert json.loads(html.unescape(config))["seed"] == 7


def chromium(*options, url):
    """What headless Chromium says and logs of a page, without a network."""
    command = (
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        *options,
        url,
    )
    return subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120
    )


@browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_it_without_a_complaint(page, tmp_path, scheme):
    picture = tmp_path / "page.png"
    options = ["--force-dark-mode"] if scheme == "dark" else []
    done = chromium(
        *options,
        f"--screenshot={picture}",
        "--window-size=1200,2000",
        url=page.as_uri(),
    )
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "CONSOLE" not in done.stderr


@browser
@pytest.mark.parametrize("width", [360, 1280])
def test_only_boxes_of_their_own_are_wider_than_the_screen(page, tmp_path, width):
    """The page in a frame of that width, measured by a script beside it."""
    script = """
      const page = document.querySelector("iframe").contentDocument;
      const width = page.documentElement.clientWidth;
      const isWide = e => e.getBoundingClientRect().right > width + 1;
      const size = e => parseFloat(getComputedStyle(e).fontSize) *
        (e.getScreenCTM ? Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b) : 1);
      const wide = [...page.querySelectorAll("body *")].filter(
        e => !e.closest(".scroll") && isWide(e));
      const fonts = [...page.querySelectorAll("p, li, td, th, figure text")].map(size);
      document.querySelector("output").textContent = JSON.stringify({
        page: page.documentElement.scrollWidth, wide: wide.map(e => e.tagName),
        font: Math.min(...fonts), boxes: page.querySelectorAll(".scroll").length});
    """
    framed = tmp_path / "framed.html"
    framed.write_text(
        f"<output></output><iframe width={width} height=2000 frameborder=0 "
        f'srcdoc="{html.escape(page.read_text())}" '
        f"onload='{html.escape(script, quote=True)}'></iframe>"
    )
    done = chromium("--dump-dom", "--window-size=1600,2000", url=framed.as_uri())
    (found,) = re.findall(r"<output>(.*?)</output>", done.stdout)
    measured = json.loads(html.unescape(found))
    assert measured["page"] <= width
    assert measured["wide"] == []
    assert measured["font"] >= 9  # pixels
    assert measured["boxes"] >= 4


@browser
def test_it_prints(page, tmp_path):
    printed = tmp_path / "page.pdf"
    chromium(f"--print-to-pdf={printed}", url=page.as_uri())
    assert printed.read_bytes().startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) >= 2
