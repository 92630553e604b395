"""Recommendations in a conversation: "what would you recommend", "something like my last order".

A reply is products with their reasons, word for word: each line rests on what the shop's records
say of its product, and on what was computed for this customer. Purchases are read for the
conversation's customer alone, and only with consent; customers give and withdraw it in the
conversation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from assistant import phrases
from assistant.errors import RecordsError, StoreError
from assistant.products.cards import Card
from assistant.products.searches import Search, SearchStore
from assistant.products.telling import answer_of, card_of, line_of
from assistant.recommend.consent import Consent
from assistant.recommend.purchases import Matching, purchases_of
from assistant.recommend.recommender import Recommender
from assistant.recommend.types import Purchase, Recommendation
from assistant.recommend.wishes import Wish, wish
from assistant.records.seam import Records
from assistant.skills import Fetched
from assistant.types import Answer, Handoff, Intent, Question
from knowledge.catalogue.names import levels
from knowledge.catalogue.search import Offer
from knowledge.catalogue.types import Constraint, Product, Wanted

log = logging.getLogger(__name__)
REASON = "recommend:told"
_COUNT, _ORDERS = 5, 50  # recommendations of a reply, and orders that are read
Shelves = Callable[[str], Sequence[Product]]  # what the shop sells, described in a language


class RecommendSkill:
    """Recommends, while there is a recommender (`served`). Without records, or for a customer who
    is not known, it tells what sells. With a store of conversations (`searches`) a search for
    products goes on from what was recommended."""

    def __init__(
        self,
        served: Callable[[], Recommender | None],
        shelves: Shelves,
        records: Records | None,
        consent: Consent,
    ) -> None:
        self.served, self.shelves = served, shelves
        self.records, self.consent = records, consent
        self.searches: SearchStore | None = None

    def concerns(self, question: Question) -> bool:
        """Whether a message is about recommendations, whatever its intent."""
        return wish(question.text, question.language) is not None and self.served() is not None

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """The recommendations, or what was made of the customer's consent."""
        asked = wish(question.text, question.language) or "any"
        try:
            if asked in ("refuse", "allow"):
                return self._decided(question, asked == "allow")
            return Fetched(outcome=self._told(question, asked))
        except (RecordsError, StoreError) as error:
            log.error("%s", error)
            text = phrases.say("recommend_trouble", question.language)
            return Fetched(outcome=Handoff(text, "recommend:records"))

    def _chosen(
        self, question: Question, asked: Wish, products: Sequence[Product]
    ) -> tuple[tuple[Recommendation, ...], Sequence[Purchase]]:
        """The recommendations, and the purchases that they go by."""
        recommender = self.served()
        if recommender is None:
            return (), ()  # rolled back in this moment
        bought = self._purchases(question, products)
        without: frozenset[str] = frozenset()
        if asked == "like_last" and bought:
            last = bought[-1].day
            bought = [purchase for purchase in bought if purchase.day == last]
            titles = {purchase.title for purchase in bought}  # nor the same in another colour
            without = frozenset(product.id for product in products if product.title in titles)
        found = recommender.recommend(bought, products, _COUNT, question.language, without=without)
        return found, bought

    def _purchases(self, question: Question, products: Sequence[Product]) -> list[Purchase]:
        customer = question.customer_id
        if not (self.records and customer and self.consent.allows(customer)):
            return []
        orders = self.records.orders(customer, _ORDERS)
        return purchases_of(orders, Matching(products))

    def _told(self, question: Question, asked: Wish) -> Answer:
        """The recommendations as products, each with its reason."""
        language, shelf = question.language, self.shelves(question.language)
        found, bought = self._chosen(question, asked, shelf)
        if not found:
            text = phrases.say("recommend_none", language)
            return Answer(text, (), (), reason="recommend:none")
        head = "recommend_shop"
        if bought:
            head = "recommend_like" if asked == "like_last" else "recommend_you"
        lead = [phrases.say(head, language)]
        if not bought and self._may_ask(question):
            lead.insert(0, phrases.say("recommend_ask", language))
        by_id = {product.id: product for product in reversed(shelf)}
        products = [by_id[each.product_id] for each in found]
        cards = [card_of(Offer(product), (), language) for product in products]
        reasons = [each.reason for each in found]
        lines = [_line(card, why, language) for card, why in zip(cards, reasons, strict=True)]
        cards = [replace(card, note=why) for card, why in zip(cards, reasons, strict=True)]
        self._remember(question, products, cards)
        return answer_of(cards, lines, lead, REASON)

    def _remember(
        self, question: Question, products: Sequence[Product], cards: Sequence[Card]
    ) -> None:
        """For "cheaper ones", "show me more": a search for the kinds of things that were shown."""
        if self.searches is None:
            return
        kinds = dict.fromkeys(levels(p.category)[-1] for p in products if p.category)
        currencies = {product.currency for product in products}
        search = Search(
            Wanted(tuple(Constraint("category", kind) for kind in kinds)),
            currencies.pop() if len(currencies) == 1 else "",
            page=-1,
            shown=tuple((card.id, card.title) for card in cards),
        )
        self.searches.put(question.conversation_id, search)

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


def _line(card: Card, reason: str, language: str) -> str:
    """A product with its price and stock, and why it is recommended."""
    return phrases.say("recommend_line", language, product=line_of(card, language), reason=reason)
