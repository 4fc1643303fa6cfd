"""Which arithmetic a fit uses."""

from __future__ import annotations

from pathlib import Path

import torch

from geoadapt.config import RuntimeConfig

__all__ = ["chosen_precision"]

CPU_FLAGS = ("avx512_bf16", "amx_bf16")
"""Without them bfloat16 is emulated, and slower than float32."""


def chosen_precision(runtime: RuntimeConfig) -> str:
    """``bf16`` or ``fp32``: as asked, or for ``auto`` bfloat16 where the device computes in it."""
    if runtime.precision != "auto":
        return runtime.precision
    if runtime.device != "cpu":
        return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
    return "bf16" if cpu_computes_bf16() else "fp32"


def cpu_computes_bf16(info: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has bfloat16 instructions; False where that cannot be told."""
    try:
        return any(flag in info.read_text(encoding="ascii", errors="ignore").split() for flag in CPU_FLAGS)
    except OSError:
        return False
