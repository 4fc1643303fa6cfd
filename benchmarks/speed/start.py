"""How fast the command answers: `geoadapt --help` over the bare interpreter, and over importing torch.

Run ``python -m benchmarks.speed.start``. Rounds are interleaved, medians are printed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 7
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "geoadapt --help": [sys.executable, "-m", "geoadapt", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def seconds(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            taken[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    print("| command | median [s] |\n|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.3f} |")
    ratios = {
        "help_over_python": medians["geoadapt --help"] / medians["python -c pass"],
        "help_over_torch": medians["geoadapt --help"] / medians["import torch"],
        "help_s": medians["geoadapt --help"],
    }
    print(json.dumps({"name": "start", "ratios": {key: round(value, 4) for key, value in ratios.items()}}))


if __name__ == "__main__":
    main()
