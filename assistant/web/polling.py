"""How often Gradio's queues look for work."""

from __future__ import annotations

from gradio import Blocks

# Gradio looks every millisecond for new events and every hundredth of a second for progress, in
# each of its pages: thousands of times a second the loop that answers all requests asks for the
# interpreter, and waits for it behind every turn that computes. Seconds.
_EVENTS, _PROGRESS = 0.02, 0.2


def calm(blocks: Blocks) -> Blocks:
    """The page, whose queue looks seldom enough not to be felt by others, and often enough not to
    be felt by its own visitors."""
    queue = blocks._queue
    queue.sleep_when_free = _EVENTS
    queue.progress_update_sleep_when_free = _PROGRESS
    return blocks
