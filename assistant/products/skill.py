"""Products: what a customer looks for is found, narrowed down over several messages, and told from
the shop's own catalogue; what they ask of one is answered from its attributes."""

from __future__ import annotations

from dataclasses import replace

from assistant import phrases
from assistant.intent import PRODUCT_INFO, PRODUCT_SEARCH, SIZE_HELP
from assistant.orders.wishes import says
from assistant.products.questions import ProductQuestions
from assistant.products.refining import refined
from assistant.products.searches import Search, SearchStore
from assistant.products.telling import answer_of, card_of, chips_of, label_of, line_of, name_of
from assistant.skills import Fetched, Skill
from assistant.types import Answer, Clarify, Intent, Question, Refuse
from knowledge.catalogue.search import Catalogue, Found, Offer
from knowledge.catalogue.types import Product, Wanted
from knowledge.errors import EmptyKnowledge
from knowledge.intent_classifier import OUT_OF_SCOPE
from knowledge.segment import content_words

FOUND, NONE = "products:found", "products:none"
_SHOWN = 5  # products of a page
_FEW_WORDS = 6  # content words; a message with more may be about anything
# Intents that a question about a product is taken for.
_NEARBY = frozenset({PRODUCT_INFO, SIZE_HELP, OUT_OF_SCOPE})
_CHOICES = 3


class ProductSkill:
    """Finds products; what the catalogue does not have goes to the knowledge base. Without a store
    of conversations (`searches`) each message is a search of its own."""

    def __init__(self, catalogue: Catalogue, knowledge: Skill, questions: ProductQuestions) -> None:
        self.catalogue = catalogue
        self.knowledge = knowledge
        self.questions = questions
        self.searches: SearchStore | None = None

    def concerns(self, question: Question, intent: Intent) -> bool:
        """Whether a message is about products, whatever its intent: it goes on with a search, says
        which product is meant, names one, or may well look for one that there surely is: where the
        router is not sure, or a kind of thing has a limit of price."""
        try:
            last = self._last(question)
            if last and (self._waiting(question, last) or self._next(question, last)):
                return True
            may_ask = not intent.is_sure or intent.name in _NEARBY
            if may_ask and self._named(question):
                return True
            if says("asks", question.text, question.language):
                return False  # "Can I rent chairs from you?" is for the shop's pages
            if PRODUCT_SEARCH not in {intent.name, *(name for name, _ in intent.alternatives)}:
                return False
            search = self._begun(question)
            wanted = search.wanted
            told = wanted.of("category") and wanted.of("most", "least")
            if intent.is_sure and not told:
                return False
            return self._find(search, question.language).fit == "sure"
        except EmptyKnowledge:
            return False

    def fetch(self, question: Question, intent: Intent) -> Fetched:
        """Products with what is told of them, the statement that answers a question about one, or
        what the shop's pages say."""
        try:
            last = self._last(question)
            if last and (product := self._waiting(question, last)):
                return self._about(question, last.asked, product) or self._unsaid(
                    question, last.asked, product, intent
                )
            if last and (search := self._next(question, last)):
                return self._told(question, search, self._find(search, question.language))
            named = self._named(question)
            if intent.name == PRODUCT_INFO or (
                named and says("asks", question.text, question.language)
            ):
                return self._asked(question, intent, last, named)
            return self._searched(question, intent)
        except EmptyKnowledge:
            return self._pages(question, intent)

    def _pages(self, question: Question, intent: Intent) -> Fetched:
        return self.knowledge.fetch(question, intent)

    def _searched(self, question: Question, intent: Intent) -> Fetched:
        """A search of its own; where it finds no more than what is near, pages go before it."""
        search = self._begun(question)
        found = self._find(search, question.language)
        told = search.wanted.constraints or len(content_words(question.text)) <= _FEW_WORDS
        if found.fit != "sure":
            pages = self._pages(question, intent)
            if pages.outcome is None or not (found.offers or told):
                return pages
        if found.offers:
            return self._told(question, search, found)
        return Fetched(outcome=Refuse(phrases.say("products_none", question.language), NONE))

    def _asked(
        self, question: Question, intent: Intent, last: Search | None, products: list[Product]
    ) -> Fetched:
        """A question about a product: the one that is named, or was shown, or is found."""
        if not products and last:
            products = [p for name, _ in last.shown if (p := self._product(name, question))]
        if not products:
            found = self._find(self._begun(question), question.language)
            products = [offer.product for offer in found.offers if found.fit == "sure"]
        if len(products) == 1:
            answer = self._about(question, question.text, products[0])
            return answer or self._pages(question, intent)
        pages = self._pages(question, intent)
        if pages.outcome is None or not products or self.searches is None:
            return pages
        shown = tuple((p.id, name_of(p, question.language)) for p in products[:_CHOICES])
        search = replace(last or self._begun(question), shown=shown, asked=question.text)
        self.searches.put(question.conversation_id, search)
        text = phrases.say("products_which", question.language)
        return Fetched(outcome=Clarify(text, "products:which", tuple(name for _, name in shown)))

    def _about(self, question: Question, asked: str, product: Product) -> Fetched | None:
        answer = self.questions.fetch(question, asked, product)
        if self.searches:  # "it" means this one from now on
            one = Search(
                Wanted(text=product.title),
                shown=((product.id, name_of(product, question.language)),),
            )
            self.searches.put(question.conversation_id, one)
        return answer

    def _unsaid(self, question: Question, asked: str, product: Product, intent: Intent) -> Fetched:
        """What the shop's pages say of what a product does not."""
        standalone = f"{asked} ({product.title})"
        return self._pages(replace(question, text=asked, standalone=standalone), intent)

    def _named(self, question: Question) -> list[Product]:
        return self.catalogue.shelf(question.language).called(question.text)

    def _last(self, question: Question) -> Search | None:
        return self.searches.get(question.conversation_id) if self.searches else None

    def _waiting(self, question: Question, last: Search) -> Product | None:
        """The product that a customer says they mean, where a question waits for it."""
        said = question.text.strip().casefold()
        for product_id, name in last.shown if last.asked else ():
            if name.casefold() == said:
                return self._product(product_id, question)
        return None

    def _next(self, question: Question, last: Search) -> Search | None:
        said = self.catalogue.parse(question.text, question.language)
        return refined(last, said, question.text, question.language)

    def _begun(self, question: Question) -> Search:
        wanted = self.catalogue.parse(question.text, question.language)
        currencies = self.catalogue.shelf(question.language).names.currencies
        return Search(wanted, currencies[0] if len(currencies) == 1 else "")

    def _find(self, search: Search, language: str) -> Found:
        return self.catalogue.find(search.wanted, language, (search.page + 1) * _SHOWN)

    def _product(self, product_id: str, question: Question) -> Product | None:
        return self.catalogue.shelf(question.language).product(product_id)

    def _told(self, question: Question, search: Search, found: Found) -> Fetched:
        """The products of a page as an answer, each line from its own record."""
        language = question.language
        offers = found.offers[search.page * _SHOWN :]
        if not offers:
            key = "products_no_more" if found.offers else "products_what"
            return Fetched(outcome=Clarify(phrases.say(key, language), NONE))
        if self.searches:
            shown = tuple((o.product.id, name_of(o.product, language)) for o in offers)
            self.searches.put(question.conversation_id, replace(search, shown=shown, asked=""))
        outcome = _answer(search, found, offers, language)
        return Fetched(outcome=outcome, version=self.catalogue.version)


def _answer(search: Search, found: Found, offers: tuple[Offer, ...], language: str) -> Answer:
    sizes = [c.value for c in found.wanted.of("size") if not c.negated]
    cards = [card_of(offer, sizes, language) for offer in offers]
    lines = [line_of(card, language) for card in cards]
    kept = [c for c in found.wanted.constraints if c not in found.given_up]
    chips = chips_of(kept, search.currency, language)
    return answer_of(cards, lines, _lead(search, found, language), FOUND, chips)


def _lead(search: Search, found: Found, language: str) -> list[str]:
    """What is said above the products: how well they fit, and what had to be left out."""
    joint = phrases.say("products_joint", language)
    told = []
    if found.given_up:
        gone = [label_of(c, search.currency, language) for c in found.given_up]
        told.append(phrases.say("products_given_up", language, what=joint.join(gone)))
    elif found.fit == "near":
        told.append(phrases.say("products_near", language))
    else:
        told.append(phrases.say("products_found", language))
    if found.unsaid:
        words = joint.join(found.unsaid)
        told.append(phrases.say("products_unsaid", language, words=words))
    if found.more:
        told.append(phrases.say("products_more", language, count=f"{found.more}"))
    return told
