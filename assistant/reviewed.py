"""What people have reviewed, as dialogues to learn from: replies that agents wrote or customers
found helpful, up to the last of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from assistant.conversations import Conversations, StoredMessage
from knowledge.types import document_of


def reviewed_dialogues(store: Conversations, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """Records as `finetune prepare` reads them, of conversations that changed since then.

    What a customer rated down is left out, and so are the words of a hand-off. `passages` are the
    documents that were found for the questions.
    """
    verdicts = {r["message"]: bool(r["helpful"]) for r in store.ratings()}
    for name, messages in store.threads(since):
        conversation = store.get(name)
        record = _record(messages, verdicts)
        if conversation and record:
            yield {
                "id": name,
                "customer_id": conversation.customer_id or "",
                "language": conversation.language,
                **record,
            }


def _record(messages: Sequence[StoredMessage], verdicts: dict[int, bool]) -> dict[str, Any] | None:
    """Turns, passages and intent of a conversation in which something was reviewed."""
    turns: list[dict[str, str]] = []
    documents: dict[str, None] = {}
    intent, reviewed = "", 0
    for message in messages:
        reply = message.reply or {}
        if message.role == "assistant":
            considered = (reply.get("trace") or {}).get("considered") or ()
            documents |= dict.fromkeys(document_of(e["evidence_id"]) for e in considered)
            intent = intent or reply.get("intent", "")
            verdict = verdicts.get(message.id)
            if reply.get("outcome") != "answer" or verdict is False:
                continue
            turns.append({"role": "agent", "text": message.text})
            reviewed = len(turns) if verdict else reviewed
        else:
            turns.append({"role": message.role, "text": message.text})
            reviewed = len(turns) if message.role == "agent" else reviewed
    if not reviewed:
        return None
    return {"turns": turns[:reviewed], "passages": list(documents), "intent": intent}
