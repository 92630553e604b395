"""Labelled utterances, and messages on anything else, to train the router on."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.errors import DataError
from knowledge.formats import read_json_lines
from knowledge.intent_classifier import OUT_OF_SCOPE

OUTLIERS = Path(__file__).parent / "outliers"
_MAX_BYTES = 200_000_000
_FEWEST = 2  # of an intent: one is held out, the others are learnt


@dataclass(frozen=True, slots=True)
class Utterances:
    """In-scope `texts` with the intents of each, and texts that are `outside` the scope."""

    texts: tuple[str, ...]
    intents: tuple[tuple[str, ...], ...]
    outside: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The intents, in order."""
        return sorted({label for labels in self.intents for label in labels})

    @property
    def several(self) -> bool:
        """Whether a message may have several intents, or none."""
        return any(len(labels) != 1 for labels in self.intents)

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Utterances:
        """From JSON Lines of {text, intent} or {text, intents}; `oos` is read as out_of_scope.

        Raises DataError.
        """
        texts: list[str] = []
        intents: list[tuple[str, ...]] = []
        outside: list[str] = []
        for path in paths:
            for text, labels in _rows(path):
                if labels == (OUT_OF_SCOPE,):
                    outside.append(text)
                else:
                    texts.append(text)
                    intents.append(labels)
        return cls(tuple(texts), tuple(intents), tuple(outside))

    def require_enough(self) -> None:
        """Raise DataError when an intent has too few utterances to be learnt and checked."""
        counts = Counter(label for labels in self.intents for label in labels)
        fewest = 1 if self.several else _FEWEST  # what is rare comes with what is frequent
        scarce = sorted(label for label, count in counts.items() if count < fewest)
        if len(counts) < 2 or scarce:
            raise DataError(f"needs two intents with {_FEWEST} utterances each; scarce: {scarce}")

    def parted(self, share: float, seed: int) -> tuple[Utterances, Utterances]:
        """(learnt, held): of each intent about `share` is held, at least one."""
        rng = random.Random(seed)
        groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for row, labels in enumerate(self.intents):
            groups[labels].append(row)
        held: set[int] = set()
        for labels in sorted(groups):
            rows = groups[labels]
            count = max(1, round(share * len(rows))) if len(rows) > 1 else 0
            held.update(rng.sample(rows, count))
        outside = list(self.outside)
        rng.shuffle(outside)
        cut = round(share * len(outside))
        return (
            self.chosen([n for n in range(len(self.texts)) if n not in held], outside[cut:]),
            self.chosen(sorted(held), outside[:cut]),
        )

    def chosen(self, rows: Iterable[int], outside: Sequence[str] = ()) -> Utterances:
        """Those of these rows, with messages from outside."""
        rows = tuple(rows)
        return Utterances(
            tuple(self.texts[n] for n in rows),
            tuple(self.intents[n] for n in rows),
            tuple(outside),
        )


def _rows(path: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    try:
        for row in read_json_lines(path, _MAX_BYTES):
            named = row["intents"] if "intents" in row else [row["intent"]]
            labels = (OUT_OF_SCOPE if label == "oos" else str(label) for label in named)
            yield str(row["text"]), tuple(sorted(set(labels)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not JSON Lines of {{text, intent}}: {error}") from error


def outliers() -> list[str]:
    """3,600 messages to bots on anything, in English and Chinese, written for this purpose."""
    paths = sorted(OUTLIERS.glob("*.txt"))
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
