"""Tasks: what a customer wants changed of an order, put together over several messages, proposed
with all that it means, and done when they agree.

A task is kept with its conversation. Other questions may come between; then it waits, and is
proposed again before it is done: a "yes" counts only right after the proposal that it answers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from assistant import phrases
from assistant.errors import ChangeRefusedError
from assistant.orders.slots import SLOTS, change_of, extra, values_of
from assistant.orders.task_store import Task, TaskStore
from assistant.orders.telling import money, record
from assistant.orders.wishes import says, wish
from assistant.records.changes import Case, Change, objection, timely, worth
from assistant.records.seam import Records, case_of
from assistant.records.types import Order
from assistant.skills import Fetched
from assistant.types import Answer, Clarify, Handoff, Outcome, Question, Refuse
from knowledge.segment import content_words

DONE = "orders:done"
_CHOICES = 3
_MOST_MISSES = 2  # times that something is asked for in vain
_MOST_SAID = 500  # characters
_FEW_WORDS = 8  # content words; more are hardly an answer to what was asked
_SAID = ("yes", "no", "leave", "everything")


class Tasks:
    """Goes on with a conversation's task. Changes worth more than `most` wait for an agent."""

    def __init__(self, store: TaskStore, records: Records, most: Decimal) -> None:
        self.store = store
        self.records = records
        self.most = most

    def takes(self, question: Question) -> bool:
        """Whether a message wants something done, or goes on with what is open. Raises
        RecordsError."""
        text, language = question.text, question.language
        if wish(text, language):
            return True
        task = self.store.get(question.conversation_id)
        if task is None or says("asks", text, language):
            return False
        if any(says(word, text, language) for word in _SAID):  # type: ignore[arg-type]
            return True
        if task.asked in _slots(task) and len(content_words(text)) <= _FEW_WORDS:
            return True  # an answer, understood or not
        case = self._case(task, question.customer_id or "")
        return case is not None and self._read(task, case, question) != task

    def open(self, question: Question) -> Task | None:
        """The task that a message begins or goes on with."""
        kind = wish(question.text, question.language)
        task = self.store.get(question.conversation_id)
        if kind and (task is None or task.kind != kind):
            task = Task(kind, secrets.token_urlsafe(12), said=question.text[:_MOST_SAID])
            self.store.put(question.conversation_id, task)
        return task

    def step(self, task: Task, question: Question, customer: str, number: str) -> Fetched:
        """The next thing to ask, to propose or to do; `number` is the order's that was named last,
        if one was. Raises RecordsError."""
        text, language = question.text, question.language
        if says("leave", text, language) or (task.asked == "yes" and says("no", text, language)):
            return self._drop(question, "task_dropped")
        if number and number.casefold() != task.order.casefold():
            task = Task(task.kind, task.id, order=number, said=task.said)
        if not task.order and len(able := self._able(task, customer)) == 1:
            task = replace(task, order=able[0].number)
        case = self._case(task, customer)
        if case is None:
            return self._ask_order(task, question, customer, bool(number))
        if reason := timely(task.kind, case.order, datetime.now()):
            return self._refused(question, case.order, reason)
        task = self._read(task, case, question)
        for slot in SLOTS[task.kind]:
            if slot.is_open(task, case):
                return self._ask(task, case, slot.name, question)
        change = change_of(task)
        if reason := objection(change, case, datetime.now()):
            return self._refused(question, case.order, reason)
        agreed = task.asked == "yes" and says("yes", text, language)
        if agreed and _was_proposed(question, case.order):
            return self._do(task, change, case, question)
        return self._propose(task, change, case, question)

    def _case(self, task: Task, customer: str) -> Case | None:
        if not (task.order and customer):
            return None
        return case_of(self.records, customer, task.order)

    @staticmethod
    def _read(task: Task, case: Case, question: Question) -> Task:
        """The task with what was said of each slot when it began, and what the message says."""
        for text in dict.fromkeys(filter(None, (task.said, question.text))):
            for slot in SLOTS[task.kind]:
                task = slot.read(task, case, text, question.language)
        return replace(task, said="")

    def _able(self, task: Task, customer: str) -> list[Order]:
        """The customer's orders that can be changed so."""
        now = datetime.now()
        return [o for o in self.records.orders(customer) if not timely(task.kind, o, now)]

    def _ask_order(self, task: Task, question: Question, customer: str, was_named: bool) -> Fetched:
        language = question.language
        if was_named:
            self.store.put(question.conversation_id, replace(task, order=""))
            text = phrases.say("orders_unknown", language, number=task.order)
            return _ended(Clarify(text, "orders:unknown"))
        found = self._able(task, customer)
        if not found:
            return self._drop(question, "task_none", handoff=True)
        self.store.put(question.conversation_id, replace(task, asked="order"))
        numbers = tuple(o.number for o in found[:_CHOICES])
        return _ended(Clarify(phrases.say("task_which_order", language), "orders:several", numbers))

    def _ask(self, task: Task, case: Case, name: str, question: Question) -> Fetched:
        """Ask for a slot; a person takes over when that goes on in vain."""
        before = self.store.get(question.conversation_id)
        again = task.asked == name and before is not None and _known(before) == _known(task)
        misses = task.misses + 1 if again else 0
        if misses > _MOST_MISSES:
            return self._drop(question, "task_stuck", handoff=True)
        self.store.put(question.conversation_id, replace(task, asked=name, misses=misses))
        slot = next(slot for slot in SLOTS[task.kind] if slot.name == name)
        ask = slot.ask(task, case, question.language)
        return _ended(Clarify(ask.text, f"orders:{name}", ask.choices))

    def _propose(self, task: Task, change: Change, case: Case, question: Question) -> Fetched:
        language = question.language
        self.store.put(question.conversation_id, replace(task, asked="yes", misses=0))
        lines = [self._summary(change, case, language)]
        if (more := extra(change, case)) > 0:
            amount = money(more, case.order, language)
            lines.append(phrases.say("task_costs", language, amount=amount))
        lines.append(phrases.say("task_sure", language))
        choices = (phrases.say("task_yes", language), phrases.say("task_no", language))
        return _ended(Clarify("\n".join(lines), "orders:confirm", choices))

    @staticmethod
    def _summary(change: Change, case: Case, language: str) -> str:
        """What will be done, of which order, and what it is worth."""
        total = money(worth(change, case), case.order, language)
        values = values_of(change, case) | {"total": total}
        return phrases.say(f"task_propose_{change.kind}", language, **values)

    def _do(self, task: Task, change: Change, case: Case, question: Question) -> Fetched:
        """What was agreed to; above the limit an agent does it."""
        language, conversation, order = question.language, question.conversation_id, case.order
        log = self.store.store.log
        if worth(change, case) > self.most:
            self.store.put(conversation, None)
            log("customer", "change_waits", f"{conversation} {order.number}")
            text = phrases.say("task_needs_agent", language)
            return _ended(Handoff(text, "orders:needs_agent"))
        try:
            changed = self.records.change(case.customer.id, change, f"{conversation}:{task.id}")
        except ChangeRefusedError as error:
            return self._refused(question, order, error.reason)
        self.store.put(conversation, None)
        log("customer", f"order_{change.kind}", f"{conversation} {order.number}")
        done = phrases.say(f"task_done_{change.kind}", language, **values_of(change, case))
        return record(changed, language, done, DONE)

    def _refused(self, question: Question, order: Order, reason: str) -> Fetched:
        """Say why not; what another shop sold goes to a person."""
        self.store.put(question.conversation_id, None)
        key = f"task_refused_{reason if reason in _REFUSALS else 'never'}"
        text = phrases.say(key, question.language, number=order.number)
        if reason == "seller":
            return _ended(Handoff(text, "orders:refused:seller"))
        return _ended(Refuse(text, f"orders:refused:{reason}"))

    def _drop(self, question: Question, phrase: str, handoff: bool = False) -> Fetched:
        self.store.put(question.conversation_id, None)
        text, reason = phrases.say(phrase, question.language), phrase.replace("task_", "orders:")
        return _ended(Handoff(text, reason) if handoff else Answer(text, (), (), reason=reason))


_REFUSALS = frozenset({"over", "never", "item", "variant", "payment", "seller"})


def _slots(task: Task) -> set[str]:
    return {slot.name for slot in SLOTS[task.kind]}


def _known(task: Task) -> Sequence[object]:
    """What a task knows, without how it was asked for."""
    return (task.order, task.items, task.swaps, task.address, task.reason, task.payment)


def _was_proposed(question: Question, order: Order) -> bool:
    """Whether the customer answers a proposal about this order."""
    last = question.history[-1] if question.history else None
    sure = phrases.say("task_sure", question.language)
    return bool(
        last and last.role == "assistant" and sure in last.text and order.number in last.text
    )


def _ended(outcome: Outcome) -> Fetched:
    return Fetched(outcome=outcome)
