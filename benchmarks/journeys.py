"""Ten journeys in clicks and seconds, beside what the nearest rival asks for.

    python -m benchmarks.journeys [--shots FOLDER]

In real Chromium, against `python app.py` with the demo shop. A click is one of the mouse, or a key
that stands for one (Enter, a shortcut, agreeing to the browser's question). An entry is one run of
typing, with the click that puts the cursor there, or one chosen file. Seconds go from the first
step to the last thing to be seen, in machine time: nobody reads, thinks or types slowly. Each
starts where its person is: a customer on the shop's page or in the open chat, staff logged in on
their page. The bar: never more steps (clicks and entries) than the rival's flow that
`rival_journeys.py` describes, where there is one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

from assistant.canned import CannedReplies
from assistant.conversations import Conversations
from benchmarks.hand import Hand, Stand
from benchmarks.rival_journeys import RIVALS, Flow
from tests.journeys.conftest import CHROMIUM, FLAGS
from tests.journeys.test_customer_journey import DOCUMENTS, ENGLISH, ROOT, Server
from tests.staffing import hire

_REFRESH_SECONDS = 1800.0  # at most, on a machine that does other work too
_WRAPPING = "How much does gift wrapping cost?"
_CONVERSATION = "JSON.parse(localStorage[Object.keys(localStorage)[0]]).id"


def ask(customer: Hand) -> None:
    """Open the chat and ask; the answer comes."""
    customer.click(".bubble")
    customer.see("textarea:focus")
    customer.write(ENGLISH)
    customer.press("Enter")
    customer.see(".assistant .chip")


def waiting(stand: Stand) -> str:
    """A conversation that waits for a person, after an answer; its id."""
    customer = stand.visit()
    ask(customer)
    customer.click(customer.button("Talk to a person"))
    customer.see(".status", "You are in the queue")
    return str(customer.page.evaluate(_CONVERSATION))


def open_passage(stand: Stand) -> Hand:
    """A customer asks a question and opens the passage that the answer cites."""
    customer = stand.visit()
    with customer.counted():
        ask(customer)
        customer.click(".assistant .chip")
        customer.see("dialog mark")
    return customer


def reach_person(stand: Stand) -> Hand:
    """A customer gets into the queue for a person."""
    customer = stand.visit()
    with customer.counted():
        customer.click(".bubble")
        customer.click(customer.button("Talk to a person"))
        customer.see(".status", "You are in the queue")
    return customer


def rate(stand: Stand) -> Hand:
    """A customer who has got an answer says that it did not help, and why."""
    customer = stand.visit()
    ask(customer)
    with customer.counted():
        customer.click(customer.button("That did not help"))
        customer.write("too short", ".why input")
        customer.press("Enter")
        customer.see(".rating", "we will look into it")
    return customer


def download(stand: Stand) -> Hand:
    """A customer downloads the conversation."""
    customer = stand.visit()
    ask(customer)
    with customer.counted():
        customer.click(customer.page.get_by_label("More"))
        with customer.page.expect_download() as transcript:
            customer.click(customer.button("Download this chat"))
        transcript.value.path()
    return customer


def take(agent: Hand, conversation: str) -> None:
    """Open a conversation of the queue and take it over; the cursor is in the reply then."""
    agent.click(f'.sd-row[data-id="{conversation}"]')
    agent.see(f'.sd-reply[data-conversation="{conversation}"] [data-act="take"]')
    agent.press("t")
    agent.see("#sd-text:focus")


def send_suggestion(stand: Stand) -> Hand:
    """An agent takes a waiting conversation and sends the suggested reply edited."""
    conversation = waiting(stand)
    agent = stand.enter("desk", "Ada")
    with agent.counted():
        take(agent, conversation)
        agent.click(agent.button("Insert"))
        agent.write(" Tell me if it does not work.")
        agent.press("Enter")
        agent.see(".sd-thread", "Edited from the suggestion")
    return agent


def send_canned(stand: Stand) -> Hand:
    """An agent who has a conversation open sends a canned reply."""
    conversation = waiting(stand)
    agent = stand.enter("desk", "Bruno")
    take(agent, conversation)
    with agent.counted():
        agent.write("/ship")
        agent.press("Enter")
        agent.press("Enter")
        agent.see(".fd-agent", "It ships today, says Bruno.")
    return agent


def compare(stand: Stand) -> Hand:
    """An agent asks what is published and the version that waits the same question."""
    agent = stand.enter("bench", "Ada")
    with agent.counted():
        agent.write(_WRAPPING, "#bench-cases")
        agent.click(agent.button("Compare"))
        agent.see('.bench-side[aria-label$="B"] .bench-reply', "3.50")
    return agent


def publish(stand: Stand) -> Hand:
    """An operator uploads a document, looks at what would change and publishes it."""
    operator = stand.enter("operator", "Mina")
    with operator.counted():
        operator.choose("label[for=sd-files]", document(stand.files, "Engraving", "12.00"))
        operator.see(".sd-changes li", "engraving", _REFRESH_SECONDS)
        operator.click(operator.button("Publish"))
        operator.see(".sd-good", "Published as version", _REFRESH_SECONDS)
    return operator


def curate(stand: Stand) -> Hand:
    """An operator writes the shop's own answer to a question."""
    operator = stand.enter("operator", "Mina")
    form = "#fd-curated_new"
    with operator.counted():
        operator.click(operator.button("Answers"))
        operator.click(f"{form} summary")
        operator.write("Do you engrave rings?", f"{form} [name=question]")
        operator.write("Yes, for 12.00, within a week.", f"{form} [name=answer]")
        operator.click(f"{form} button[type=submit]")
        operator.see("#fd-notice", "get this answer now")
    return operator


def undo(stand: Stand) -> Hand:
    """An operator goes back to the version before."""
    operator = stand.enter("operator", "Mina")
    with operator.counted():
        operator.click(operator.button("Undo the last publication"))
        operator.see("#fd-notice", "is in use again")
    return operator


JOURNEYS: dict[str, Callable[[Stand], Hand]] = {
    "ask, open the cited passage": open_passage,
    "reach a person": reach_person,
    "rate an answer, with a reason": rate,
    "download the transcript": download,
    "take over, send the suggestion edited": send_suggestion,
    "send a canned reply": send_canned,
    "ask two knowledge versions side by side": compare,
    "upload a document, publish it": publish,
    "add a curated answer": curate,
    "undo a publication": undo,  # the one of before
}


def document(folder: Path, title: str, price: str) -> Path:
    """A page about a service."""
    file = folder / f"{title}.md"
    file.write_text(f"# {title}\n\n{title} costs {price} per item.\n")
    return file


def refresh(home: Path, *arguments: Path | str) -> None:
    """Make a version of the knowledge base."""
    command = [sys.executable, "-m", "knowledge", "refresh", "--home", str(home)]
    done = subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def told(name: str, hand: Hand, rival: Flow) -> str:
    """A row of the table."""
    ours = f"{name:40} {hand.clicks:6} {hand.entries:7} {hand.seconds:7.1f} |"
    if not rival.rival:
        return f"{ours} {'-':>6} {'-':>7}  none"
    more = hand.clicks + hand.entries - rival.clicks - rival.entries
    late = f": {more} FEWER THAN OURS" if more > 0 else ""
    return f"{ours} {rival.clicks:6} {rival.entries:7}  {rival.rival}{late}"


def walk(stand: Stand, shots: Path | None) -> None:
    """Print a row a journey, then the rivals' steps."""
    ask(stand.visit())  # warm
    print(f"   {'':40} clicks entries seconds | clicks entries  nearest rival")
    for number, (name, journey) in enumerate(JOURNEYS.items(), 1):
        try:
            print(f"{number:2}", told(name, journey(stand), RIVALS[name]), flush=True)
        except Exception:
            if shots:
                stand.hands[-1].page.screenshot(path=shots / f"{number}.png", full_page=True)
            raise
    for number, rival in enumerate(RIVALS.values(), 1):
        steps = f"{number}. {rival.rival or 'None'}: {rival.steps}"
        print(textwrap.fill(steps, 100, subsequent_indent="   "), f"   {rival.source}", sep="\n")


def main() -> None:
    """Prepare a home with a second version that waits, serve it, and walk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shots", type=Path, help="where to put a picture of what fails")
    arguments = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise SystemExit("skipped: playwright is not installed") from None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home, files = Path(folder, "home"), Path(folder)
        refresh(home, DOCUMENTS)
        store = Conversations.in_home(home)
        hire(store)
        CannedReplies(store).save("ship", "en", "It ships today, says {name}.", "Mina")
        store.close()
        refresh(home, "--prepare", DOCUMENTS, document(files, "Gift wrapping", "3.50"))
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        server = Server(home)
        try:
            walk(Stand(browser, server.url, files), arguments.shots)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
