from pathlib import Path

from geoadapt.config import RuntimeConfig
from geoadapt.training.precision import chosen_precision, cpu_computes_bf16


def test_what_is_asked_for_is_done() -> None:
    assert chosen_precision(RuntimeConfig(device="cpu", precision="fp32")) == "fp32"
    assert chosen_precision(RuntimeConfig(device="cpu", precision="bf16")) == "bf16"


def test_a_processor_without_the_instructions_is_not_taken_for_one_with_them(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("flags : sse avx512_bf16_not avx2")
    assert not cpu_computes_bf16(info) and not cpu_computes_bf16(tmp_path / "absent")
    info.write_text("flags : sse avx512_bf16 avx2")
    assert cpu_computes_bf16(info)
