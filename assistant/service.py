"""A conversation's turn: who may speak, what is stored, and when a person takes over."""

from __future__ import annotations

import logging
import time
from typing import Any

from assistant import phrases
from assistant.announcements import (
    Announcement,
    Observer,
    ReplyRated,
    SpeakerChanged,
    TurnFinished,
    turn_scope,
)
from assistant.contract import reply_to_json, trace_of
from assistant.conversations import Conversation, Conversations, StoredMessage
from assistant.curated import REASON, CuratedAnswers, key_of
from assistant.errors import InputError
from assistant.handoff import Event, Handoffs
from assistant.intent import UNKNOWN
from assistant.live import Live, OneProcess
from assistant.patience import Patience
from assistant.pipeline import Assistant
from assistant.safety import clean
from assistant.types import Handoff, Reply, Utterance
from assistant.watch import Listener, ignore

log = logging.getLogger(__name__)


class ChatService:
    """The one way from a stored conversation through the pipeline and back; who waits for news of
    a conversation is told by `live`, and `observers` what came of a turn."""

    def __init__(
        self, assistant: Assistant, conversations: Conversations, live: Live | None = None
    ) -> None:
        self.assistant = assistant
        self.conversations = conversations
        self.live = live or OneProcess()
        self.curated = CuratedAnswers(conversations)
        self.observers: list[Observer] = []
        self.handoffs = Handoffs(
            conversations,
            assistant.settings.hours,
            lambda event: self._announce(SpeakerChanged(event)),
        )

    def start(self, language: str = "", customer_id: str | None = None) -> Conversation:
        """A new conversation; `customer_id` comes from a verified session."""
        return self.conversations.start(language, customer_id)

    def send(
        self, conversation_id: str, text: str, message_id: str = "", listen: Listener = ignore
    ) -> StoredMessage | None:
        """Store the customer's message and the reply to it; a message_id sent again is not
        answered twice. None while a person speaks: the bot keeps silent.

        Raises InputError when the conversation does not exist or is closed, StoreError.
        """
        sent = self.receive(conversation_id, text, message_id)
        return self.answer(conversation_id, sent, text, listen)

    def receive(self, conversation_id: str, text: str, message_id: str = "") -> StoredMessage:
        """Store the customer's message, as `send` does; one sent before is returned as it is."""
        self._open(conversation_id)
        return self.conversations.add(conversation_id, "customer", clean(text), message_id)

    def answer(
        self,
        conversation_id: str,
        sent: StoredMessage,
        text: str,
        listen: Listener = ignore,
        patience: Patience | None = None,
    ) -> StoredMessage | None:
        """Store the reply to a stored message, as `send` does, in the time that there is.

        `text` is the message as it was written, with what `clean` takes out.
        """
        conversation = self._open(conversation_id)
        if stored := self.conversations.find(conversation_id, sent.message_id, "assistant"):
            return stored
        if conversation.state != "bot":
            return None
        history = self.conversations.history(conversation_id, before=sent.id)
        patience = patience or Patience()
        utterance = Utterance(
            text,
            history,
            conversation.customer_id,
            conversation.language,
            conversation_id,
            patience,
        )
        with turn_scope() as turn:
            queued = patience.seconds
            reply = self._respond(utterance, listen)
            return self._say(conversation_id, sent.message_id, reply, turn, patience, queued)

    def give_up(
        self, conversation_id: str, message_id: str, patience: Patience | None = None
    ) -> StoredMessage | None:
        """A person takes over what was not answered in time; what is found later is not said."""
        conversation = self._open(conversation_id)
        with turn_scope() as turn:
            log.error("a turn took too long, and a person takes over")
            reply = self._trouble(conversation.language, "pipeline:deadline")
            return self._say(conversation_id, message_id, reply, turn, patience or Patience())

    def rate(self, conversation_id: str, message: int, helpful: bool, reason: str = "") -> None:
        """Keep a customer's verdict on a reply; a second one replaces the first."""
        self.conversations.rate(conversation_id, message, helpful, reason)
        self._announce(ReplyRated(helpful))

    def hand_off(self, conversation_id: str, reason: str = "customer:asked") -> bool:
        """Put the conversation into the queue of people; False if it already left the bot."""
        return self._happened("ask", conversation_id, reason=reason)

    def withdraw(self, conversation_id: str) -> bool:
        """The customer asks the assistant after all; False unless a person is waited for."""
        return self._happened("withdraw", conversation_id)

    def reopen(self, conversation_id: str) -> bool:
        """A closed conversation goes on, with the assistant; False unless it is closed."""
        return self._happened("reopen", conversation_id)

    def take_over(self, conversation_id: str, agent: str) -> bool:
        """The agent speaks from now on; False when another one was faster."""
        return self._logged("take_over", conversation_id, "take", agent)

    def reply_as(self, conversation_id: str, agent: str, text: str) -> StoredMessage:
        """An agent's message. Raises InputError unless this agent has the conversation."""
        self._open(conversation_id)
        if not clean(text):
            raise InputError("write a message first")
        said = self.handoffs.speak_as(conversation_id, agent, clean(text))
        if said is None:
            raise InputError("take the conversation over before you reply")
        self.live.tell("news", conversation_id)
        return said

    def hand_back(self, conversation_id: str, agent: str) -> bool:
        """The bot speaks again; False when this agent does not have the conversation."""
        return self._logged("hand_back", conversation_id, "return", agent)

    def requeue(self, conversation_id: str, agent: str) -> bool:
        """The agent leaves it to the team; False when this agent does not have it."""
        return self._logged("requeue", conversation_id, "requeue", agent)

    def end(self, conversation_id: str, agent: str) -> bool:
        """Close a conversation; False when another agent has it, or it is closed."""
        return self._logged("end", conversation_id, "end", agent)

    def delete(self, conversation_id: str) -> None:
        """Erase a conversation with all that belongs to it."""
        self.conversations.delete(conversation_id)
        self.live.tell("news", conversation_id)

    def _logged(self, what: str, conversation_id: str, event: Event, agent: str) -> bool:
        happened = self._happened(event, conversation_id, agent)
        if happened:
            self.conversations.log(agent, what, conversation_id)
        return happened

    def _happened(
        self, event: Event, conversation_id: str, who: str = "", reason: str | None = None
    ) -> bool:
        happened = self.handoffs.happen(conversation_id, event, who, reason)
        if happened:
            self.live.tell("news", conversation_id)
        return happened

    def _open(self, conversation_id: str) -> Conversation:
        conversation = self.conversations.get(conversation_id)
        if conversation is None:
            raise InputError("this conversation does not exist")
        if conversation.state == "closed":
            raise InputError("this conversation is closed")
        return conversation

    def _say(
        self,
        conversation_id: str,
        message_id: str,
        reply: Reply,
        turn: str,
        patience: Patience,
        queued: float = 0.0,
    ) -> StoredMessage | None:
        body = reply_to_json(reply) | {"trace": trace_of(reply, turn)}
        said = self.handoffs.speak(conversation_id, message_id, reply.outcome.text, body)
        if said is not None:
            self._count(conversation_id, said)
            self.live.tell("news", conversation_id)
            waited, now = patience.seconds, time.time()
            self._announce(TurnFinished(turn, conversation_id, reply, waited, queued, now))
        return said

    def _announce(self, what: Announcement) -> None:
        """Tell the observers; what one of them fails at is nothing to the customer."""
        for observer in self.observers:
            try:
                observer(what)
            except Exception:
                log.exception("what happened could not be observed")

    def _count(self, conversation_id: str, said: StoredMessage) -> None:
        """A curated answer was shown."""
        reply = said.reply or {}
        if reply.get("reason") == REASON:
            self.curated.hit(key_of(reply["citations"][0]["evidence_id"]), conversation_id, said.id)

    def _respond(self, utterance: Utterance, listen: Listener) -> Reply:
        """The pipeline's reply; a failure inside becomes a calm hand-off, and is logged."""
        try:
            return self.assistant.respond(utterance, listen)
        except Exception:
            log.exception("a turn failed")
            return self._trouble(utterance.language, "pipeline:error")

    def _trouble(self, language: str, reason: str) -> Reply:
        """What is said where something went wrong: a person takes over."""
        language = language or self.assistant.settings.default_language
        return Reply(Handoff(phrases.say("trouble", language), reason), language, UNKNOWN)


def public_view(body: dict[str, Any]) -> dict[str, Any]:
    """A stored reply without what only staff may see."""
    return {key: value for key, value in body.items() if key != "trace"}
