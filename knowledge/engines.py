"""Engines that run a transformer exported to ONNX: a function from token ids to its outputs.

Single queries run on ONNX Runtime; documents by the thousand on OpenVINO, which computes in
bfloat16 where the processor can, twice as fast (cosine to single precision: .9999 or more).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

log = logging.getLogger(__name__)
_BATCH = 32

_Row = TypeVar("_Row")
Run = Callable[[dict[str, NDArray[np.int64]]], Sequence[NDArray[np.float32]]]


def onnx_session(path: Path, threads: int) -> Run:
    """An ONNX Runtime session as a function from inputs to its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Encoder and reader take turns: threads of the one that spin would slow the other.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def bulk_session(path: Path, threads: int) -> Run:
    """The fastest engine for many rows at a time: OpenVINO, or else ONNX Runtime."""
    try:
        return _openvino_session(path, threads)
    except Exception as error:  # no build for this machine, or none of the processor's kind
        log.warning("OpenVINO cannot be used (%s); documents are read more slowly", error)
        return onnx_session(path, threads)


def _openvino_session(path: Path, threads: int) -> Run:
    import openvino
    from openvino.properties import hint, inference_num_threads, num_streams

    settings = {
        hint.inference_precision: openvino.Type.bf16,  # single precision where there is no bf16
        inference_num_threads: threads,
        num_streams: 1,
        # Each process would pin its threads to the first cores: two workers would share one.
        hint.enable_cpu_pinning: False,
    }
    core = openvino.Core()
    request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    return lambda inputs: [output.copy() for output in request.infer(inputs).values()]


def export_onnx(module: Any, path: Path, outputs: list[str]) -> None:
    """Export a torch module of (input_ids, attention_mask, token_type_ids) to path, atomically."""
    import torch

    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    example = torch.ones((2, 16), dtype=torch.int64)
    mask = example.clone()
    mask[1, 9:] = 0  # with an all-ones mask the exporter would drop masking altogether
    partial = path.with_suffix(f".{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        torch.onnx.export(
            module.eval(),
            (example, mask, example * 0),
            partial,
            input_names=["input_ids", "attention_mask", "token_type_ids"],
            output_names=outputs,
            dynamic_shapes=({0: batch, 1: length},) * 3,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    partial.replace(path)


def padded(rows: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
    """Inputs of a batch of rows that the tokenizer padded."""
    return {
        "input_ids": np.array([r.ids for r in rows], dtype=np.int64),
        "attention_mask": np.array([r.attention_mask for r in rows], dtype=np.int64),
        "token_type_ids": np.array([r.type_ids for r in rows], dtype=np.int64),
    }


def length_batches(lengths: Sequence[int]) -> list[list[int]]:
    """Rows in batches of like length, the shortest first."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]


def in_length_order(
    lengths: Sequence[int], run: Callable[[list[int]], Iterable[_Row]]
) -> list[_Row]:
    """Run batches of rows of like length and return the outputs in the original order."""
    outputs: list[Any] = [None] * len(lengths)
    for rows in length_batches(lengths):
        for row, output in zip(rows, run(rows), strict=True):
            outputs[row] = output
    return outputs


def torch_engine(module: Any, threads: int) -> Run:
    """A torch module as a function from inputs to its output; the reference."""
    import torch

    torch.set_num_threads(threads)

    def run(inputs: dict[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        with torch.inference_mode():
            return [module(*(torch.from_numpy(v) for v in inputs.values())).numpy()]

    return run
