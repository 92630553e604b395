"""Web pages: the main text without navigation, and what their readers do not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import trafilatura
from lxml import etree, html

from knowledge.formats.source import Source

COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)
_UNSEEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|font-size\s*:\s*[01](?:\.\d+)?(?:px|pt)?\s*(?:;|$)|text-indent\s*:\s*-\d{3,}",
    re.IGNORECASE,
)
# What a browser folds away is read by whoever opens it.
_FOLDED = frozenset({"details", "dialog"})
_UNREAD = frozenset({"script", "style", "noscript", "template"})


def from_html(source: Source) -> Iterator[dict[str, Any]]:
    """One document: title, main text as markdown, and the address that the page names."""
    page = source.text()
    if not page.strip():
        raise ValueError("has no text")
    text, hidden = text_of_html(page)
    metadata = trafilatura.extract_metadata(page)
    yield source.row(
        {
            "title": metadata.title if metadata else None,
            "text": text,
            "url": source.url or _address(metadata),
            "hidden": hidden,
        }
    )


def text_of_html(markup: str) -> tuple[str, str]:
    """(main text as markdown, text that a reader would not see) of a page or a piece of one."""
    try:
        tree: Any = html.fromstring(markup)
    except (etree.ParserError, etree.XMLSyntaxError) as error:
        raise ValueError(f"is no HTML page: {error}") from error
    hidden = [hidden_in_markup(markup)]
    for element in [e for e in tree.iter() if isinstance(e.tag, str)]:
        if element.tag in _UNREAD or element.getparent() is None:
            continue
        if _is_unseen(element):
            hidden.append(" ".join(element.text_content().split()))
            element.drop_tree()
    _faq_as_headings(tree)
    body = html.tostring(tree, encoding="unicode")
    if "<body" not in body:
        body = f"<html><body><article>{body}</article></body></html>"
    text = trafilatura.extract(
        body, output_format="markdown", include_tables=True, include_comments=False, fast=True
    )
    return text or "", "\n".join(t for t in hidden if t)


def hidden_in_markup(text: str) -> str:
    """The comments in markdown, which its readers do not see."""
    return "\n".join(c.strip() for c in COMMENT.findall(text) if c.strip())


def _is_unseen(element: Any) -> bool:
    if element.tag in _FOLDED:
        return False
    return "hidden" in element.attrib or bool(_UNSEEN_STYLE.search(element.get("style", "")))


def _faq_as_headings(tree: Any) -> None:
    """Questions in `dt` and `summary` become headings, so that their answers stay with them."""
    for element in tree.iter("dt", "summary"):
        element.tag = "h3"
    for element in tree.iter("dd", "dl", "details"):
        element.tag = "div"


def _address(metadata: Any) -> str:
    """The address that a page names as its own, if it names one."""
    url = str(metadata.url or "") if metadata else ""
    return url if url.startswith(("https://", "http://")) else ""
