"""Recommendations in a conversation: "what would you recommend", "something like my last order".

A reply is the recommendations with their reasons, word for word: the only evidence is what was
computed for this customer. Purchases are read for the conversation's customer alone, and only with
consent; customers give and withdraw it in the conversation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from assistant import phrases
from assistant.errors import RecordsError, StoreError
from assistant.money import written
from assistant.recommend.consent import Consent
from assistant.recommend.purchases import Matching, purchases_of
from assistant.recommend.recommender import Recommender
from assistant.recommend.types import Purchase, Recommendation
from assistant.recommend.wishes import Wish, wish
from assistant.records.seam import Records
from assistant.skills import Fetched, Skill
from assistant.types import Answer, Evidence, Handoff, Intent, Question
from knowledge.catalogue.types import Product

log = logging.getLogger(__name__)
REASON = "recommend:told"
_COUNT, _ORDERS = 5, 50  # recommendations of a reply, and orders that are read
Shelves = Callable[[str], Sequence[Product]]  # what the shop sells, described in a language


class RecommendSkill:
    """Recommends; `otherwise` answers what asks for no recommendation. Without records, or for a
    customer who is not known, it tells what sells."""

    def __init__(
        self,
        recommender: Recommender,
        shelves: Shelves,
        records: Records | None,
        consent: Consent,
        otherwise: Skill,
    ) -> None:
        self.recommender, self.shelves = recommender, shelves
        self.records, self.consent, self.otherwise = records, consent, otherwise

    def concerns(self, question: Question) -> bool:
        """Whether a message is about recommendations, whatever its intent."""
        return wish(question.text, question.language) is not None

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """The recommendations as the only evidence, or what was made of the customer's consent."""
        asked = wish(question.text, question.language)
        if asked is None:
            return self.otherwise.fetch(question, intent)
        try:
            if asked in ("refuse", "allow"):
                return self._decided(question, asked == "allow")
            return self._told(question, asked)
        except (RecordsError, StoreError) as error:
            log.error("%s", error)
            text = phrases.say("recommend_trouble", question.language)
            return Fetched(outcome=Handoff(text, "recommend:records"))

    def recommended(self, question: Question) -> tuple[Recommendation, ...]:
        """What a message asks for, for cards beside the reply. Raises RecordsError."""
        asked = wish(question.text, question.language) or "any"
        return self._chosen(question, asked)[0]

    def _chosen(
        self, question: Question, asked: Wish
    ) -> tuple[tuple[Recommendation, ...], Sequence[Purchase]]:
        """The recommendations, and the purchases that they go by."""
        products = self.shelves(question.language)
        bought = self._purchases(question, products)
        without: frozenset[str] = frozenset()
        if asked == "like_last" and bought:
            last = bought[-1].day
            bought = [purchase for purchase in bought if purchase.day == last]
            without = frozenset(purchase.product_id for purchase in bought)
        found = self.recommender.recommend(
            bought, products, _COUNT, question.language, without=without
        )
        return found, bought

    def _purchases(self, question: Question, products: Sequence[Product]) -> list[Purchase]:
        customer = question.customer_id
        if not (self.records and customer and self.consent.allows(customer)):
            return []
        orders = self.records.orders(customer, _ORDERS)
        return purchases_of(orders, Matching(products))

    def _told(self, question: Question, asked: Wish) -> Fetched:
        found, bought = self._chosen(question, asked)
        if not found:
            text = phrases.say("recommend_none", question.language)
            return Fetched(outcome=Answer(text, (), (), reason="recommend:none"))
        head = "recommend_shop"
        if bought:
            head = "recommend_like" if asked == "like_last" else "recommend_you"
        lines = [phrases.say(head, question.language)]
        products = {p.id: p for p in reversed(self.shelves(question.language))}
        lines += [_line(each, products[each.product_id], question.language) for each in found]
        if not bought and self._may_ask(question):
            lines.append(phrases.say("recommend_ask", question.language))
        return _evidence("\n".join(lines), question)

    def _may_ask(self, question: Question) -> bool:
        """Whether there is a history that could be used if the customer agreed."""
        customer = question.customer_id
        return bool(self.records and customer and not self.consent.allows(customer))

    def _decided(self, question: Question, allowed: bool) -> Fetched:
        if not question.customer_id:
            text = phrases.say("recommend_unknown", question.language)
        else:
            self.consent.decide(question.customer_id, allowed)
            key = "recommend_allowed" if allowed else "recommend_refused"
            text = phrases.say(key, question.language)
        return Fetched(outcome=Answer(text, (), (), reason="recommend:consent"))


def _evidence(text: str, question: Question) -> Fetched:
    evidence = Evidence(
        id=f"recommendations:{question.customer_id or 'shop'}", kind="record",
        source="recommendations", title=phrases.say("recommend_title", question.language),
        text=text, language=question.language, relevance=1.0, quote=text,
    )  # fmt: skip
    return Fetched((evidence,), reason=REASON)


def _line(each: Recommendation, product: Product, language: str) -> str:
    """A product with its price, where it has one, and why."""
    price = ""
    if product.price is not None and product.currency:
        price = written(product.price, product.currency, language)
    key = "recommend_line" if price else "recommend_line_unpriced"
    return phrases.say(key, language, title=each.title, price=price, reason=each.reason)
