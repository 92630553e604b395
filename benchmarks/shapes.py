"""Adapter methods at a real size: a model of random weights in the shape of a 7B Llama, on a GPU.

    python -m benchmarks.shapes [--methods lora,adalora,dora,prefix,full] [--steps N]

Speed and memory do not depend on what the weights are. Adapters sit on a 4-bit NF4 base with double
quantisation; `full` trains all weights in bfloat16 with AdamW. Each takes two sequences of 1,024
tokens a step, with gradient checkpointing but for the prefix; each adapter has about 40 million
parameters, AdaLoRA 60 until it has pruned. `full` needs a GPU with 80 GB, the others 24 GB.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from peft import (
    AdaLoraConfig,
    LoraConfig,
    PrefixTuningConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
)
from transformers import LlamaConfig, LlamaForCausalLM

BATCH, TOKENS, WARMUP = 2, 1024, 3
SHAPE = LlamaConfig(
    vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=4096, use_cache=False,
)  # fmt: skip
SHARED: dict[str, Any] = {
    "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM",
}  # fmt: skip


def adapter(method: str, steps: int) -> Any:
    """The adapter's shape: LoRA of rank 16 has 40.0 million parameters here, a prefix of 152
    positions 39.8."""
    if method == "prefix":
        return PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=152)
    if method == "adalora":
        return AdaLoraConfig(
            init_r=24, target_r=16, total_step=steps, tinit=1, tfinal=1, deltaT=1, **SHARED
        )
    return LoraConfig(r=16, use_dora=method == "dora", **SHARED)


def random_model(quantised: bool) -> Any:
    """A model of random weights on the GPU, its linear layers in NF4 if `quantised`."""
    import bitsandbytes as bnb

    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = LlamaForCausalLM(SHAPE)
    torch.set_default_dtype(torch.float32)
    if not quantised:
        return model
    for module in list(model.model.modules()):
        for name, layer in list(module.named_children()):
            if not isinstance(layer, torch.nn.Linear):
                continue
            small = bnb.nn.Linear4bit(
                layer.in_features, layer.out_features, bias=False, compute_dtype=torch.bfloat16,
                quant_type="nf4", compress_statistics=True, device="meta",
            )  # fmt: skip
            small.weight = bnb.nn.Params4bit(
                layer.weight.data.cpu(), requires_grad=False, quant_type="nf4",
                compress_statistics=True,
            ).to("cuda")  # fmt: skip
            setattr(module, name, small)
    model.is_loaded_in_4bit = True
    torch.cuda.empty_cache()
    return model


def measure(method: str, steps: int) -> dict[str, float]:
    """Tokens a second and the most memory of a run of `steps` after a few to warm up."""
    torch.manual_seed(0)
    model = random_model(method != "full")
    if method == "full":
        model.gradient_checkpointing_enable()
    else:
        checkpointing = method != "prefix"  # peft refuses it there
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)
        model = get_peft_model(model, adapter(method, WARMUP + steps))
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    ids = torch.randint(0, SHAPE.vocab_size, (BATCH, TOKENS), device="cuda")
    torch.cuda.reset_peak_memory_stats()
    started = 0.0
    for step in range(WARMUP + steps):
        if step == WARMUP:
            torch.cuda.synchronize()
            started = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        if method == "adalora":
            model.base_model.update_and_allocate(step + 1)
        optimizer.zero_grad()
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return {
        "parameters, millions": sum(p.numel() for p in trained) / 1e6,
        "tokens/s": steps * BATCH * TOKENS / seconds,
        "GiB": torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--methods", default="lora,adalora,dora,prefix,full")
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.shapes needs a GPU: a 7B model takes minutes a step on a CPU")
    print(torch.cuda.get_device_name())
    for method in arguments.methods.split(","):
        try:
            found = measure(method, arguments.steps)
        except torch.OutOfMemoryError:
            print(f"{method:8} does not fit", flush=True)
        else:
            print(f"{method:8}", "  ".join(f"{k} {v:.4g}" for k, v in found.items()), flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
