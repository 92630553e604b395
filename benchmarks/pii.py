"""Personal data that the masker finds: in made-up messages, in presidio's, and where there is none.

    python -m benchmarks.pii [--count N]

Made-up messages (seeded, Faker's values in five countries) hold an e-mail address, a telephone
number, a card, an address line or an order number; a value counts as found when none of its digits
is left (of an e-mail address: when it is gone). Passages of the invented shops, where nothing
personal stands, tell how often something is masked by mistake. `presidio_pii` is found in
FRONTDESK_DATA; there precision is the share of masks that touch a labelled span.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from faker import Faker

from benchmarks.passages import data_folder
from finetune.reranker_data import shops_below
from knowledge.formats import read_json_lines
from knowledge.pii import Masker

SHOPS = Path(__file__).parent.parent / "finetune" / "shops"
SEED = 7
_LOCALES = {"en_GB": "en", "en_US": "en", "de_DE": "de", "es_ES": "es", "zh_CN": "zh"}
_FRAMES = {
    "en": ("Hello, please use {} from now on.", "My details: {}, thanks", "{} - is that right?"),
    "de": ("Hallo, bitte nehmen Sie {} dafür.", "Meine Angaben: {}, danke", "{} - stimmt das?"),
    "es": ("Hola, usen {} a partir de ahora.", "Mis datos: {}, gracias", "{} - ¿es correcto?"),
    "zh": ("你好，请以后用{}，谢谢。", "我的信息：{}，麻烦了", "{}，对吗？"),
}
# Presidio's labels that the masker is for.
_LABELS = {"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "STREET_ADDRESS"}
_MOST_BYTES = 50_000_000
_MASK = re.compile(r"\[[A-Z]+_\d+\]")


def made_up(count: int) -> Iterator[tuple[str, str, str]]:
    """(kind and country, message, value) triples."""
    rng = random.Random(SEED)
    Faker.seed(SEED)
    for locale, language in _LOCALES.items():
        fake = Faker(locale)
        kinds: dict[str, Callable[[], str]] = {
            "email": fake.email,
            "phone": fake.phone_number,
            "card": lambda fake=fake: spaced(fake.credit_card_number(), rng),  # type: ignore[misc]
            "address": lambda fake=fake: fake.street_address().replace("\n", ", "),  # type: ignore[misc]
            "order": lambda: f"{rng.choice(('MW', 'ORD', 'FD'))}-{rng.randrange(10**6, 10**9)}",
        }
        for kind, draw in kinds.items():
            for _ in range(count):
                value = draw()
                yield f"{kind} {locale}", rng.choice(_FRAMES[language]).format(value), value


def spaced(number: str, rng: random.Random) -> str:
    """A card's number as people write it."""
    joint = rng.choice(("", " ", "-"))
    return joint.join(number[i : i + 4] for i in range(0, len(number), 4))


def is_found(message: str, value: str) -> bool:
    """Whether nothing that matters of the value is left when the message is masked."""
    left = _MASK.sub("", Masker().mask(message))
    digits = re.findall(r"\d+", value)
    return value not in left and not any(d in left for d in digits if len(d) > 1)


def presidio(data: Path) -> dict[str, float]:
    """Recall by label, and precision of all masks."""
    found: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    right = masks = 0
    (path,) = (data / "data" / "presidio_pii").glob("*.jsonl*")
    for row in read_json_lines(path, _MOST_BYTES):
        masker = Masker()
        masked = masker.mask(row["text"])
        labelled = " ".join(s["value"] for s in row["spans"])
        for mask in _MASK.findall(masked):
            masks += 1
            value = masker.restore(mask)
            right += value in labelled or any(s["value"] in value for s in row["spans"])
        for span in row["spans"]:
            if span["type"] in _LABELS:
                whole[span["type"]] += 1
                found[span["type"]] += is_found(row["text"], span["value"])
    return {name: found[name] / whole[name] for name in sorted(whole)} | {
        "precision": right / masks if masks else 0.0
    }


def main() -> None:
    """Print shares by kind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="messages of a kind and country")
    arguments = parser.parse_args()
    found: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    missed: dict[str, str] = {}
    for kind, message, value in made_up(arguments.count):
        for name in (kind, kind.split()[0]):
            whole[name] += 1
            found[name] += (hit := is_found(message, value))
            if not hit:
                missed[name] = value
    for name in sorted(whole):
        example = f"  missed: {missed[name]!r}" if name in missed else ""
        print(f"{name:16} {found[name] / whole[name]:.3f}{example}")
    texts = [text for shop in shops_below(SHOPS) for _, _, text in shop.passages]
    masked = [t for t in texts if Masker().mask(t) != t]
    print(f"masked by mistake {len(masked)} of {len(texts)} passages")
    for text in masked[:8]:
        masker = Masker()
        print("   ", [masker.restore(m) for m in _MASK.findall(masker.mask(text))])
    print("presidio_pii", {k: round(v, 3) for k, v in presidio(data_folder()).items()})


if __name__ == "__main__":
    main()
