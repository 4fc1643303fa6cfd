"""Side environments: made from pinned requirements, called as another process, never imported.

In: a peer's name, arrays by scene. Out: the labels that its program gave for them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoadapt.errors import GeoadaptError

HERE = Path(__file__).parent
PLACE = HERE.parents[1] / "outputs" / "peers"
"""Where the environments are; git ignores it."""
MINUTES = 20
STAMP = "ready.txt"


def environment(name: str, place: Path = PLACE) -> Path:
    """The interpreter of a peer's environment, made anew where it is absent, incomplete, or of other requirements.

    Raises:
        GeoadaptError: the packages cannot be had: without a network there is no peer, and nothing is left behind.
    """
    wanted = HERE / f"{name}.txt"
    folder = place / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted.read_text(encoding="utf-8"):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--disable-pip-version-check",
        "--quiet",
    ]
    try:
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder, "check the disk and the permissions")
        _run([*install, "-r", str(wanted)], wanted, "its packages come from a package registry: is there a network?")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.copyfile(wanted, stamp)
    return python


def call(
    python: Path, program: Path, images: Mapping[str, NDArray[np.float32]], channels: tuple[str, ...]
) -> tuple[dict[str, NDArray[np.uint8]], dict[str, object]]:
    """Labels (h, w) by scene, and what the program says about itself.

    Args:
        python: the interpreter of its environment.
        program: called with a folder that holds ``job.json`` (channels, count) and ``N.npy`` (h, w, c) from 0 on; it
            leaves ``N.labels.npy`` and ``about.json`` there.
        images: (h, w, c) [reflectance 0–1], missing = NaN.
        channels: their common names, in order.

    Raises:
        GeoadaptError: the program fails, or gives labels of another shape.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps({"channels": channels, "count": len(images)}), encoding="utf-8")
        for number, image in enumerate(images.values()):
            np.save(folder / f"{number}.npy", image, allow_pickle=False)
        # isolated: neither this project nor the caller's PYTHONPATH is seen from inside
        _run([str(python), "-I", str(program), str(folder)], program, "run it by hand to see more")
        labels = {}
        for number, (scene, image) in enumerate(images.items()):
            labels[scene] = _labels(program, scene, folder / f"{number}.labels.npy", image)
        return labels, json.loads((folder / "about.json").read_text(encoding="utf-8"))


def _labels(program: Path, scene: str, file: Path, image: NDArray[np.float32]) -> NDArray[np.uint8]:
    try:
        found = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise GeoadaptError(program, f"left no labels for {scene} ({error})", "run it by hand to see more") from error
    if found.shape != image.shape[:2] or found.dtype != np.uint8:
        raise GeoadaptError(program, f"gave labels {found.shape} {found.dtype}", f"expected {image.shape[:2]} uint8")
    return np.asarray(found, np.uint8)


def _run(words: list[str], about: Path, hint: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60 * MINUTES, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GeoadaptError(about, str(error), hint) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
        raise GeoadaptError(about, said[-1].strip(), hint)
