"""Put the parts together: settings to a knowledge base, an assistant and a chat service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from functools import cache
from pathlib import Path

from assistant.canary import CanaryWatch
from assistant.conversations import Conversations
from assistant.curated import CuratedAnswers
from assistant.curated_match import CuratedMatcher
from assistant.dial import threshold_of
from assistant.errors import GenerationError
from assistant.generation import Generator, QuotingComposer
from assistant.grounding import GroundingCheck
from assistant.intent import Router
from assistant.intent import Skill as SkillName
from assistant.live import open_live
from assistant.memory import holds_another
from assistant.orders.identification import Identification
from assistant.orders.skill import OrderSkill
from assistant.orders.task_store import TaskStore
from assistant.orders.tasks import Tasks
from assistant.pipeline import Assistant, Claims
from assistant.products.questions import ProductQuestions
from assistant.products.searches import SearchStore
from assistant.products.skill import ProductSkill
from assistant.recommend.consent import FILE as CONSENT_FILE
from assistant.recommend.consent import ConsentFile
from assistant.recommend.served import ServedRecommender
from assistant.recommend.skill import RecommendSkill
from assistant.records.opening import open_records
from assistant.safety import Safety
from assistant.served import Model, ServedModel
from assistant.service import ChatService
from assistant.settings import Settings
from assistant.skills import KnowledgeSkill, PersonSkill, Skill, SmallTalkSkill
from assistant.switch import ModelSwitch
from assistant.types import Intent, Question
from finetune.registry import (
    Registry,
    base_digest,
    has_weights,
    resolve_base,
    validate_adapter,
)
from knowledge.build import WEIGHTS, open_knowledge, open_product_reranker
from knowledge.catalogue.search import Catalogue
from knowledge.catalogue.types import Product
from knowledge.errors import EmptyKnowledge
from knowledge.intent_classifier import MANIFEST, IntentClassifier
from knowledge.rerank import CrossEncoderReranker
from knowledge.retrieve import KnowledgeBase
from knowledge.verifier import Verifier
from knowledge.versions import CatalogueVersions


def build_knowledge(settings: Settings) -> KnowledgeBase:
    """The knowledge base in the settings' home."""
    return open_knowledge(settings.home, settings.engines, settings.knowledge)


def build_assistant(
    settings: Settings,
    knowledge: KnowledgeBase | None = None,
    threshold: Callable[[], float] | None = None,
) -> Assistant:
    """The whole pipeline over the published knowledge base; `threshold` in the dial's place."""
    knowledge = knowledge or build_knowledge(settings)
    skill = KnowledgeSkill(knowledge, settings, threshold or _threshold(settings, knowledge))
    products = _products(settings, knowledge, skill)
    skills: dict[SkillName, Skill] = {
        "knowledge": skill,
        "products": products,
        "recommendations": _recommendations(settings, products.catalogue),
        "small_talk": SmallTalkSkill(settings),
        "person": PersonSkill(),
    }
    if orders := _orders(settings, skill):
        skills["orders"] = orders
    grounding = grounding_check(settings)
    return Assistant(
        settings=settings,
        detector=knowledge.detector,
        safety=Safety(settings.max_utterance_characters),
        encoder=knowledge.encoder,
        router=Router(_classifier(settings)),
        skills=skills,
        generator=_generator(settings, grounding),
        grounding=grounding,
        names=knowledge.mentions,
        claims=_claims(skills),
        paused=ModelSwitch(settings.home).is_off,
    )


def _orders(settings: Settings, knowledge: KnowledgeSkill) -> OrderSkill | None:
    """Look-ups in the shop's own system, or in the home's file of orders, if there is one."""
    records = open_records(settings)
    return OrderSkill(records, settings.orders.number, knowledge) if records else None


def _products(settings: Settings, knowledge: KnowledgeBase, skill: KnowledgeSkill) -> ProductSkill:
    """Search of the published products; while there are none the knowledge base is asked."""
    products = open_product_reranker(settings.home, settings.engines, settings.knowledge)
    catalogue = Catalogue(CatalogueVersions(settings.home), knowledge.encoder, products)
    with suppress(EmptyKnowledge):
        catalogue.shelf(settings.default_language)  # the first customer does not wait for it
    reranker = knowledge.reranker
    assert isinstance(reranker, CrossEncoderReranker)
    return ProductSkill(catalogue, skill, ProductQuestions(catalogue, reranker.reader))


def _recommendations(settings: Settings, catalogue: Catalogue) -> RecommendSkill:
    """What the home's promoted recommender says of the published products, whenever there is
    one."""
    served = ServedRecommender(settings.home, settings.engines, settings.knowledge.threads)
    consent = ConsentFile(settings.home / CONSENT_FILE)

    def shelves(language: str) -> Sequence[Product]:
        try:
            return catalogue.shelf(language).products
        except EmptyKnowledge:
            return ()  # nothing is published, so nothing is recommended

    return RecommendSkill(served.current, shelves, open_records(settings), consent)


def _claims(skills: Mapping[SkillName, Skill]) -> Claims:
    """What orders, recommendations and products claim, orders first: they wait for an answer."""
    orders, products = skills.get("orders"), skills.get("products")
    recommendations = skills.get("recommendations")

    def claims(question: Question, intent: Intent) -> SkillName | None:
        if isinstance(orders, OrderSkill) and orders.concerns(question, intent):
            return "orders"
        if isinstance(recommendations, RecommendSkill) and recommendations.concerns(question):
            return "recommendations"
        if isinstance(products, ProductSkill) and products.concerns(question, intent):
            return "products"
        return None

    return claims


def build_service(settings: Settings, assistant: Assistant | None = None) -> ChatService:
    """The chat service over the store in the settings' home, with the answers curated there."""
    store = Conversations.of(settings)
    live = open_live(settings.shared)
    return ChatService(with_store(assistant or build_assistant(settings), store), store, live)


def with_store(assistant: Assistant, store: Conversations) -> Assistant:
    """The assistant with the curated answers of a store, which go before all that it finds, and
    with customers who can be identified in its conversations."""
    changed = copy(assistant)
    changed.curated = CuratedMatcher(CuratedAnswers(store), assistant.encoder).fetch
    skills = dict(assistant.skills)
    if isinstance(orders := skills.get("orders"), OrderSkill):
        skills["orders"] = orders = copy(orders)
        orders.identification = Identification(store, orders.records)
        most = assistant.settings.orders.most_without_agent
        orders.tasks = Tasks(TaskStore(store), orders.records, most)
    if isinstance(products := skills.get("products"), ProductSkill):
        skills["products"] = products = copy(products)
        products.searches = SearchStore(store)
    if isinstance(recommendations := skills.get("recommendations"), RecommendSkill):
        skills["recommendations"] = recommendations = copy(recommendations)
        recommendations.searches = SearchStore(store)
    changed.skills, changed.claims = skills, _claims(skills)
    return changed


def knowledge_of(assistant: Assistant) -> KnowledgeBase:
    """The knowledge base that an assistant answers from."""
    skill = assistant.skills["knowledge"]
    assert isinstance(skill, KnowledgeSkill)
    return skill.knowledge


def retuned(assistant: Assistant, settings: Settings) -> Assistant:
    """The assistant under other settings of what each question reads; it shares the models and the
    knowledge base, and a turn that is under way in the first one is not disturbed."""
    changed = copy(assistant)
    changed.settings = settings
    knowledge = knowledge_of(assistant)
    skill = KnowledgeSkill(knowledge, settings, _threshold(settings, knowledge))
    skills: dict[SkillName, Skill] = {**assistant.skills, "knowledge": skill}
    for name, held in skills.items():
        if isinstance(held, OrderSkill | ProductSkill):
            skills[name] = again = copy(held)
            again.knowledge = skill
    changed.skills, changed.claims = skills, _claims(skills)
    return changed


def grounding_check(settings: Settings) -> GroundingCheck:
    """The exact rules; with the verifier where a language model writes: quotations need none."""
    if not settings.model.base:
        return GroundingCheck()
    return GroundingCheck(
        Verifier(WEIGHTS / "verifier", settings.engines, settings.knowledge.threads)
    )


def _classifier(settings: Settings) -> IntentClassifier:
    """The intents trained for this home, else those shipped."""
    own = settings.home / "intents"
    folder = own if (own / MANIFEST).is_file() else WEIGHTS / "intents"
    return IntentClassifier(folder, settings.engines, settings.knowledge.threads)


def _threshold(settings: Settings, knowledge: KnowledgeBase) -> Callable[[], float]:
    """The relevance from which is answered now, by what is promised on the served version."""
    return lambda: threshold_of(settings, knowledge.versions.current_folder())


def _generator(settings: Settings, check: GroundingCheck) -> Generator:
    if not settings.model.base:
        return QuotingComposer()
    # torch and transformers take seconds to import; quoting alone does not need them.
    from assistant.lm import load_language_model

    model = settings.model
    loaded: list[str] = []

    def load(adapter: Path | None) -> Model:
        if loaded and not model.is_remote and not holds_another(resolve_base(model.base)):
            raise GenerationError("no memory for another model; restart the server to serve it")
        threads = settings.knowledge.threads
        made = load_language_model(model, adapter, settings.engines, threads, check)
        loaded.append(str(adapter))
        return made

    @cache
    def digest() -> str:
        """Of the base; "" where only a server has its weights."""
        base = resolve_base(model.base, weights=not model.is_remote)
        return base_digest(base) if has_weights(base) else ""

    def fits(adapter: Path) -> bool:
        return digest() in {"", validate_adapter(adapter).base_sha256}

    return ServedModel(Registry(settings.home), load, fits)


def watch_canary(service: ChatService) -> CanaryWatch | None:
    """What follows the promoted adapter and stops a canary that does worse, if a model writes."""
    served = service.assistant.generator
    return CanaryWatch(served, service.conversations) if isinstance(served, ServedModel) else None
