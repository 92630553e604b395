"""The widget's size, when it can be used, what it asks of others, and its sign of life.

    python -m benchmarks.widget [--loads 20] [--url http://127.0.0.1:7860]

In real Chromium, on the demo shop's page of a server that runs (`make run`); each load is a fresh
browser with nothing kept. A sign of life is the stage word after Enter.
"""

from __future__ import annotations

import argparse
import gzip
from statistics import median
from urllib.parse import urlsplit

import httpx
import numpy as np

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
_SIGN = """
text => new Promise(resolve => {
  const root = document.querySelector("#frontdesk").shadowRoot;
  const field = root.querySelector("textarea");
  field.value = text;
  new MutationObserver((_, observer) => {
    if (!root.querySelector(".stage")) return;
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - started));
  }).observe(root, { childList: true, subtree: true });
  const started = performance.now();
  field.form.requestSubmit();
})
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, default=20)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    arguments = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit("skipped: playwright is not installed") from None
    script = httpx.get(f"{arguments.url}/widget.js").content
    print(f"widget.js {len(script)} bytes, {len(gzip.compress(script, 9))} compressed (bar 30000)")
    interactive: list[float] = []
    signs: list[float] = []
    others: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        for _ in range(arguments.loads):
            context = browser.new_context(locale="en-GB")
            page = context.new_page()
            page.on("request", lambda request: others.add(urlsplit(request.url).netloc))
            page.goto(f"{arguments.url}/demo", wait_until="commit")
            page.locator(".bubble").wait_for()
            interactive.append(page.evaluate("performance.now()"))
            page.locator(".bubble").click()
            page.locator(".welcome").wait_for()
            signs.append(page.evaluate(_SIGN, "How do I cancel my order?"))
            page.locator(".assistant .text").first.wait_for()
            context.close()
        browser.close()
    others.discard(urlsplit(arguments.url).netloc)
    for name, values, bar in (("interactive", interactive, 1000), ("sign of life", signs, 300)):
        p95 = np.percentile(values, 95)
        print(f"{name} p50 {median(values):.0f} ms, p95 {p95:.0f} ms (bar {bar})")
    print(f"other origins asked: {sorted(others) or 'none'}")


if __name__ == "__main__":
    main()
