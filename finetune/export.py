"""A base with its adapter as one int8 model for a CPU, in the format of CTranslate2.

The adapter is merged in full precision, then all matrices are quantised to 8 bits, a scale a row.
It is another model than the 4-bit base with the adapter beside it, so it is evaluated itself
(`python -m finetune evaluate --engine ctranslate2-int8`).
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from finetune.errors import BaseModelError
from finetune.manifest import CONFIG, NF4_ENGINE, PREFIX, adapter_digest, base_digest

log = logging.getLogger(__name__)


def exported(base: Path, adapter: Path | None, engines: Path) -> Path:
    """Folder of the export below `engines`, made when it is not there yet.

    Raises BaseModelError when ctranslate2 is missing or cannot run such a model.
    """
    try:
        release = version("ctranslate2")
    except PackageNotFoundError as error:
        raise BaseModelError("ctranslate2 is not installed: pip install ctranslate2") from error
    digests = [base_digest(base)[:16], *([adapter_digest(adapter)[:16]] if adapter else [])]
    folder = engines / "-".join(["int8", release, *digests])
    if not folder.is_dir():
        log.info("exporting the language model to int8, once: %s", folder)
        engines.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=engines) as work:
            source = _merged(base, adapter, Path(work) / "merged") if adapter else base
            _convert(source, Path(work) / "int8")
            try:
                (Path(work) / "int8").replace(folder)
            except OSError:
                if not folder.is_dir():  # another process was faster
                    raise
    return folder


def _merged(base: Path, adapter: Path, out: Path) -> Path:
    """A model folder in float32. Raises BaseModelError for an adapter that cannot be merged."""
    if json.loads((adapter / CONFIG).read_text())["peft_type"] == PREFIX:
        raise BaseModelError(f"{adapter} is a prefix, which cannot be merged; use {NF4_ENGINE}")
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    merged.save_pretrained(out)
    for file in base.glob("*token*.json"):
        shutil.copy(file, out)
    return out


def _convert(source: Path, out: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    try:
        TransformersConverter(str(source)).convert(str(out), quantization="int8")
    except Exception as error:  # whatever the converter makes of an unknown architecture
        raise BaseModelError(f"{source} cannot be exported to ctranslate2: {error}") from error
    # A tokenizer may lack one of the special tokens, which the engine wants all named.
    config = json.loads((out / "config.json").read_text())
    named = {k: config["eos_token"] if v is None else v for k, v in config.items()}
    (out / "config.json").write_text(json.dumps(named))
