"""`python -m finetune` with FSDP2 on CPUs, which accelerate would leave to GPUs.

Everything else is as it is there: torch's own shards, over gloo.
"""

from __future__ import annotations

import runpy
from typing import Any

from accelerate import PartialState
from accelerate.utils import DistributedType

if __name__ == "__main__":
    begin = PartialState.__init__

    def called_gpus(self: PartialState, *given: Any, **options: Any) -> None:
        begin(self, *given, **options)
        self._shared_state["distributed_type"] = DistributedType.MULTI_GPU

    PartialState.__init__ = called_gpus  # type: ignore[method-assign]
    runpy.run_module("finetune", run_name="__main__")
