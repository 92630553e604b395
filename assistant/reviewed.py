"""What people have reviewed, as dialogues to learn from: replies that agents wrote or customers
found helpful, up to the last of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.conversations import Conversations, StoredMessage
from assistant.edits import Edit, Edits
from knowledge.types import document_of


def reviewed_dialogues(store: Conversations, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """Records as `finetune prepare` reads them, of conversations that changed since then.

    What a customer rated down is left out, and so are the words of a hand-off. `passages` are the
    documents that were found for the questions. A reply that an agent made of a suggestion has the
    suggestion as `edited_from`: of the two the agent preferred the reply.
    """
    verdicts = {r["message"]: bool(r["helpful"]) for r in store.ratings()}
    edits = Edits(store)
    for name, messages in store.threads(since):
        if record := _named(store, name, _record(messages, verdicts, edits.of(name))):
            yield record


def reviewed_dialogue(store: Conversations, name: str) -> dict[str, Any] | None:
    """The record of one conversation; None where nothing in it was reviewed."""
    verdicts = {r["message"]: bool(r["helpful"]) for r in store.ratings(name)}
    return _named(store, name, _record(store.messages(name), verdicts, Edits(store).of(name)))


def _named(store: Conversations, name: str, record: dict[str, Any] | None) -> dict[str, Any] | None:
    """A record with whose it is."""
    conversation = store.get(name)
    if conversation is None or record is None:
        return None
    customer, language = conversation.customer_id or "", conversation.language
    return {"id": name, "customer_id": customer, "language": language, **record}


def _record(
    messages: Sequence[StoredMessage], verdicts: Mapping[int, bool], edits: Mapping[int, Edit]
) -> dict[str, Any] | None:
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
            edit = edits.get(message.id)
            made_of = {"edited_from": edit.suggestion} if edit and edit.changed else {}
            turns.append({"role": message.role, "text": message.text} | made_of)
            reviewed = len(turns) if message.role == "agent" else reviewed
    if not reviewed:
        return None
    return {"turns": turns[:reviewed], "passages": list(documents), "intent": intent}
