"""Orders: which one is meant, whose it is, what is told of it, and what is to be changed.

Everything said is written from the order's own fields, which are the evidence that it rests on; an
order is read for the conversation's customer alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from assistant import phrases
from assistant.errors import RecordsError
from assistant.intent import ORDER_STATUS
from assistant.orders.identification import Identification, Identified
from assistant.orders.task_store import Task
from assistant.orders.tasks import Tasks
from assistant.orders.telling import OVER, record
from assistant.orders.wishes import says, wish
from assistant.records.seam import Records
from assistant.skills import Fetched, Skill
from assistant.types import Clarify, Handoff, Intent, Outcome, Question
from knowledge.pii import EMAIL
from knowledge.segment import content_words

log = logging.getLogger(__name__)


_MOST_CHOICES, _FEW_WORDS = 3, 2


class OrderSkill:
    """Tells how far an order is, and has it changed; what is about neither goes to the knowledge
    base. `number` is how the shop's order numbers look. Without a store of conversations
    (`identification`, `tasks`) only who is known already is told anything."""

    def __init__(self, records: Records, number: str, knowledge: Skill) -> None:
        self.records = records
        self.knowledge = knowledge
        self.identification: Identification | None = None
        self.tasks: Tasks | None = None
        self._number = re.compile(number, re.IGNORECASE)

    def concerns(self, question: Question, intent: Intent) -> bool:
        """Whether a message is about orders, whatever its intent: it names one and may well ask how
        far it is, answers what was asked for, or wants something changed."""
        likely = {intent.name, *(name for name, _ in intent.alternatives[:1])}
        if ORDER_STATUS in likely and not intent.is_sure and self._number.search(question.text):
            return True
        return self._only_names(question) or bool(self.tasks and self.tasks.takes(question))

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """The order as the only evidence, or a question for what is missing."""
        numbers = self._said(self._number, question)
        try:
            task = self._task(question)
            customer = question.customer_id or ""
            if not customer:
                if not numbers:
                    return self._without(question, intent, task)
                found = self._identify(question, numbers[0])
                if isinstance(found, Outcome):
                    return _ended(found)
                customer = found
            if task and self.tasks:
                named = self._number.findall(question.text)
                number = (named or [] if task.order else numbers)[:1]
                return self.tasks.step(task, question, customer, "".join(number))
            return self._look_up(question, intent, customer, numbers)
        except RecordsError as error:
            log.error("%s", error)
            text = phrases.say("orders_trouble", question.language)
            return _ended(Handoff(text, "orders:records"))

    def _only_names(self, question: Question) -> bool:
        """Whether a message is hardly more than an order's number, or an e-mail address where a
        number was named before."""
        left = EMAIL.sub(" ", self._number.sub(" ", question.text))
        short = left != question.text and len(content_words(left)) <= _FEW_WORDS
        return short and bool(self._said(self._number, question))

    def _task(self, question: Question) -> Task | None:
        """What the message wants changed, or goes on with; "where is MW-10001?" does neither, nor
        does the e-mail address that answers what was asked thereupon."""
        if self.tasks is None:
            return None
        if self._only_names(question):
            text, language = self._naming(question), question.language
            goes_on = bool(wish(text, language)) or not says("asks", text, language)
        else:
            goes_on = self.tasks.takes(question)
        return self.tasks.open(question) if goes_on else None

    def _naming(self, question: Question) -> str:
        """The customer's last message that names an order."""
        earlier = [m.text for m in reversed(question.history) if m.role == "customer"]
        return next(t for t in (question.text, *earlier) if self._number.search(t))

    def _without(self, question: Question, intent: Intent, task: Task | None) -> Fetched:
        """Nobody is known and no number was named: what the shop's pages say, if they do."""
        text = phrases.say("orders_which", question.language)
        ask = _ended(Clarify(text, "orders:unidentified"))
        if task:
            return ask
        found = self.knowledge.fetch(question, intent)
        asks = intent.name == ORDER_STATUS and isinstance(found.outcome, Clarify | Handoff)
        return ask if asks else found

    def _identify(self, question: Question, number: str) -> str | Outcome:
        """The customer, or what to say instead."""
        language = question.language
        emails = self._said(EMAIL, question)
        if not emails:
            text = phrases.say("orders_email", language, number=number)
            return Clarify(text, "orders:email")
        found = (
            self.identification.identify(question.conversation_id, number, emails[0])
            if self.identification
            else Identified("unknown")
        )
        if found.verdict == "too_often":
            return Handoff(phrases.say("orders_too_often", language), "orders:too_often")
        if found.verdict == "unknown":
            return Clarify(phrases.say("orders_unknown", language, number=number), "orders:unknown")
        return found.customer_id

    def _look_up(
        self, question: Question, intent: Intent, customer: str, numbers: Sequence[str]
    ) -> Fetched:
        """What a known customer asks about."""
        language = question.language
        if numbers:
            order = self.records.order(customer, numbers[0])
            if order is None:
                text = phrases.say("orders_unknown", language, number=numbers[0])
                return _ended(Clarify(text, "orders:unknown"))
            return record(order, language)
        if intent.name != ORDER_STATUS:
            return self.knowledge.fetch(question, intent)
        orders = self.records.orders(customer)
        waited = [o for o in orders if o.state not in OVER] or list(orders[:1])
        if not waited:
            return self._without(question, intent, None)
        if len(waited) == 1:
            return record(waited[0], language)
        named = tuple(o.number for o in waited[:_MOST_CHOICES])
        return _ended(Clarify(phrases.say("orders_choose", language), "orders:several", named))

    @staticmethod
    def _said(pattern: re.Pattern[str], question: Question) -> list[str]:
        """What the customer has written of that kind, the latest first; what the assistant or an
        agent wrote says nothing about who asks."""
        earlier = [m.text for m in question.history if m.role == "customer"]
        texts = [question.text, *reversed(earlier)]
        return [found for text in texts for found in reversed(pattern.findall(text))]


def _ended(outcome: Outcome) -> Fetched:
    return Fetched(outcome=outcome)
