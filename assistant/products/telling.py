"""What a customer is told of products and of what they asked of them: the shop's own facts."""

from __future__ import annotations

from collections.abc import Sequence

from assistant import phrases
from assistant.money import written
from assistant.products.cards import Card, Chip
from assistant.types import Answer, CheckedSentence, Citation
from knowledge.catalogue.colours import colour_name
from knowledge.catalogue.search import Offer
from knowledge.catalogue.types import Constraint, Product

SOURCE = "catalogue"
_FEW = 3  # pieces from which a customer is told how many are left
_MOST_COLOURS = 3  # others that are named


def card_of(offer: Offer, sizes: Sequence[str], language: str) -> Card:
    """A product as it is shown; `sizes` are those that were asked for."""
    product = offer.product
    return Card(
        product.id, name_of(product, language), price_of(product, language),
        stock_of(product, sizes, language), _note(offer, language), product.image, product.url,
    )  # fmt: skip


def line_of(card: Card, language: str) -> str:
    """The same as a line of text."""
    joint = phrases.say("products_facts_joint", language)
    facts = joint.join(filter(None, (card.price, card.stock, card.note)))
    return phrases.say("products_line", language, title=card.title, facts=facts).rstrip(":： ")


def answer_of(
    cards: Sequence[Card],
    lines: Sequence[str],
    lead: Sequence[str],
    reason: str,
    chips: tuple[Chip, ...] = (),
) -> Answer:
    """Products below what is said above them (`lead`), a line for each card, which rests on the
    product's own record."""
    rows = [(f"product:{card.id}", card, line) for card, line in zip(cards, lines, strict=True)]
    return Answer(
        "\n".join((*lead, *(f"- {line}" for line in lines))),
        tuple(CheckedSentence(line, True, name) for name, _, line in rows),
        tuple(Citation(name, SOURCE, c.title, line, line, c.url) for name, c, line in rows),
        reason=reason,
        cards=tuple(cards),
        chips=chips,
    )


def name_of(product: Product, language: str) -> str:
    """Its title, with its colour where the title does not say it."""
    said = product.colour.casefold() in product.title.casefold()
    if said:
        return product.title
    return phrases.say("products_named", language, title=product.title, colour=product.colour)


def price_of(product: Product, language: str) -> str:
    """What it costs, or nothing where the shop does not say."""
    return "" if product.price is None else written(product.price, product.currency, language)


def stock_of(product: Product, sizes: Sequence[str], language: str) -> str:
    """Whether it is to be had, in the sizes that were asked for; nothing where the shop does not
    say."""
    held = {size.name for size in product.sizes}
    named = [size for size in sizes if size in held]
    if not named:
        return _pieces(product.stock, language)
    told = ((size, _pieces(product.stock_of(size), language)) for size in named)
    return ", ".join(
        phrases.say("products_in_size", language, size=size, stock=text)
        for size, text in told if text
    )  # fmt: skip


def chips_of(constraints: Sequence[Constraint], currency: str, language: str) -> tuple[Chip, ...]:
    """A chip for each thing that was asked for; amounts without a currency are in the shop's."""
    labels = (label_of(c, currency, language) for c in constraints)
    return tuple(
        Chip(text, phrases.say("products_without", language, what=text)) for text in labels
    )


def label_of(constraint: Constraint, currency: str, language: str) -> str:
    """What was asked for, in a few words: "under £80", "not red"."""
    value = constraint.value
    if constraint.field in ("most", "least"):
        value = written(constraint.amount, constraint.currency or currency, language, is_round=True)
    elif constraint.field == "colour":
        value = colour_name(value, language)
    name = value if constraint.field == "order" else constraint.field
    label = phrases.say(f"products_chip_{name}", language, value=value)
    return phrases.say("products_chip_not", language, value=label) if constraint.negated else label


def _pieces(stock: int | None, language: str) -> str:
    if stock is None:
        return ""
    if stock == 0:
        return phrases.say("products_sold_out", language)
    if stock <= _FEW:
        return phrases.say("products_few", language, count=f"{stock}")
    return phrases.say("products_in_stock", language)


def _note(offer: Offer, language: str) -> str:
    if not offer.colours:
        return ""
    named = phrases.say("products_joint", language).join(offer.colours[:_MOST_COLOURS])
    return phrases.say("products_colours", language, colours=named)
