"""A reply as the JSON object that the command line, the API and the store share (CONTRACT)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from assistant.explain import plain_reason, span_of
from assistant.types import Answer, Clarify, Reply

_MOST_PROMPT = 8000  # characters kept of what a model read; prompts have 1500 tokens by default


def reply_to_json(reply: Reply, identifier: str = "") -> dict[str, Any]:
    """The contract's object. Refusals, hand-offs and clarifications carry no citations."""
    outcome = reply.outcome
    answer = outcome if isinstance(outcome, Answer) else None
    row: dict[str, Any] = {"id": identifier} if identifier else {}
    return row | {
        "outcome": reply.kind,
        "reason": outcome.reason,
        "reply": outcome.text,
        "language": reply.language,
        "intent": reply.intent.name,
        "intent_confidence": round(reply.intent.confidence, 4),
        "citations": [
            {
                "evidence_id": c.evidence_id,
                "source": c.source,
                "title": c.title,
                "quote": c.quote,
                "text": c.text,
                "url": c.url,
                "valid_from": c.valid_from.isoformat() if c.valid_from else None,
                "valid_until": c.valid_until.isoformat() if c.valid_until else None,
            }
            for c in (answer.citations if answer else ())
        ],
        "sentences": [
            {"text": s.text, "supported": s.supported, "evidence_id": s.evidence_id}
            for s in (answer.sentences if answer else ())
        ],
        "explanation": plain_reason(outcome, reply.language),
        "choices": list(outcome.choices) if isinstance(outcome, Clarify) else [],
        "products": [asdict(card) for card in (answer.cards if answer else ())],
        "chips": [asdict(chip) for chip in (answer.chips if answer else ())],
        "generator": answer.generator if answer else "quote",
        "latency_ms": reply.latency_ms,
    }


def trace_of(reply: Reply, turn: str = "") -> dict[str, Any]:
    """How the reply came about, for staff only: what was considered, chosen and dropped; `turn` is
    the id that log lines and traces of its turn have."""
    outcome = reply.outcome
    return {
        "turn": turn,
        "standalone": reply.standalone,
        "intents": [
            [reply.intent.name, reply.intent.confidence],
            *map(list, reply.intent.alternatives),
        ],
        "sure": reply.intent.is_sure,
        "considered": [
            {
                "evidence_id": e.id,
                "title": e.title,
                "relevance": round(e.relevance, 4),
                "quote": e.quote,
            }
            for e in reply.considered
        ],
        "recalled": [asdict(r) for r in reply.recalled],
        "threshold": round(reply.threshold, 4),
        "rests_on": [
            {"sentence": s.text, "evidence_id": s.evidence_id, "span": span_of(s, reply.considered)}
            for s in (outcome.sentences if isinstance(outcome, Answer) else ())
        ],
        "dropped": [{"text": s.text, "reason": s.reason} for s in reply.dropped],
        "prompt": _shortened(reply.prompt),
        "version": reply.version,
        "first_sentence_ms": reply.first_sentence_ms,
    }


def _shortened(prompt: str) -> str:
    """A prompt without its middle where it is too long to keep: passages come first in it, the
    question last."""
    if len(prompt) <= _MOST_PROMPT:
        return prompt
    half = _MOST_PROMPT // 2
    return f"{prompt[:half]}\n[…]\n{prompt[-half:]}"
