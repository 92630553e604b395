"""A conversation's turn: who may speak, what is stored, and when a person takes over."""

from __future__ import annotations

import logging
from typing import Any

from assistant import phrases
from assistant.contract import reply_to_json, trace_of
from assistant.conversations import Conversation, Conversations, StoredMessage
from assistant.errors import InputError
from assistant.intent import UNKNOWN
from assistant.pipeline import Assistant, Listener, ignore
from assistant.safety import clean
from assistant.types import Handoff, Reply, Utterance

log = logging.getLogger(__name__)


class ChatService:
    """The one way from a stored conversation through the pipeline and back."""

    def __init__(self, assistant: Assistant, conversations: Conversations) -> None:
        self.assistant = assistant
        self.conversations = conversations

    def start(self, language: str = "", customer_id: str | None = None) -> Conversation:
        """A new conversation; `customer_id` comes from a verified session."""
        return self.conversations.start(language, customer_id)

    def send(
        self, conversation_id: str, text: str, message_id: str = "", listen: Listener = ignore
    ) -> StoredMessage | None:
        """Store the customer's message and the reply to it; a message_id sent again is not
        answered twice. None while a person speaks: the bot keeps silent.

        Raises InputError when the conversation does not exist or is closed.
        """
        conversation = self._open(conversation_id)
        history = self.conversations.history(conversation_id)
        sent = self.conversations.add(conversation_id, "customer", clean(text), message_id)
        if stored := self.conversations.find(conversation_id, sent.message_id, "assistant"):
            return stored
        if conversation.state != "bot":
            return None
        utterance = Utterance(
            text, history, conversation.customer_id, conversation.language, conversation_id
        )
        reply = self._respond(utterance, listen)
        body = reply_to_json(reply) | {"trace": trace_of(reply)}
        answer = self.conversations.add(
            conversation_id, "assistant", reply.outcome.text, sent.message_id, body
        )
        if isinstance(reply.outcome, Handoff):
            self.hand_off(conversation_id, reply.outcome.reason)
        return answer

    def hand_off(self, conversation_id: str, reason: str) -> bool:
        """Put the conversation into the queue of people; False if it already left the bot."""
        return self.conversations.move(
            conversation_id, "waiting", only_from=("bot",), reason=reason
        )

    def take_over(self, conversation_id: str, agent: str) -> bool:
        """The agent speaks from now on; False when another one was faster."""
        taken = self.conversations.move(
            conversation_id, "agent", only_from=("waiting", "bot"), agent=agent
        )
        if taken:
            self.conversations.log(agent, "take_over", conversation_id)
        return taken

    def reply_as(self, conversation_id: str, agent: str, text: str) -> StoredMessage:
        """An agent's message. Raises InputError unless this agent has the conversation."""
        conversation = self._open(conversation_id)
        if conversation.state != "agent" or conversation.agent != agent:
            raise InputError("take the conversation over before you reply")
        if not clean(text):
            raise InputError("write a message first")
        return self.conversations.add(conversation_id, "agent", clean(text))

    def hand_back(self, conversation_id: str, agent: str) -> bool:
        """The bot speaks again; False when this agent does not have the conversation."""
        conversation = self._open(conversation_id)
        if conversation.agent != agent:
            return False
        back = self.conversations.move(conversation_id, "bot", only_from=("agent",), reason="")
        if back:
            self.conversations.log(agent, "hand_back", conversation_id)
        return back

    def _open(self, conversation_id: str) -> Conversation:
        conversation = self.conversations.get(conversation_id)
        if conversation is None:
            raise InputError("this conversation does not exist")
        if conversation.state == "closed":
            raise InputError("this conversation is closed")
        return conversation

    def _respond(self, utterance: Utterance, listen: Listener) -> Reply:
        """The pipeline's reply; a failure inside becomes a calm hand-off, and is logged."""
        try:
            return self.assistant.respond(utterance, listen)
        except Exception:
            log.exception("a turn failed")
            language = utterance.language or self.assistant.settings.default_language
            text = phrases.say("trouble", language)
            return Reply(Handoff(text, "pipeline:error"), language, UNKNOWN)


def public_view(body: dict[str, Any]) -> dict[str, Any]:
    """A stored reply without what only staff may see."""
    return {key: value for key, value in body.items() if key != "trace"}
