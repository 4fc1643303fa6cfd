"""A folder of simulated scenes, in the layout that ``data=folder`` reads: images/NAME.tif, labels/NAME.tif.

In: how many, how large, which sensors, a seed. Out: the folder, complete; asked again, it is left as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from data_pipelines.simulate.clouds import SKIES
from data_pipelines.simulate.cover import BIOMES
from data_pipelines.simulate.scene import SceneSpec, SimulatedScene, simulate_scene
from geoadapt.cubes.classes import CLOUD_CLASSES, NODATA
from geoadapt.errors import GeoadaptError
from geoadapt.io.atomic import write_text
from geoadapt.io.base import Window
from geoadapt.io.geotiff import CogSink, RasterSpec

__all__ = ["MANIFEST", "fill_folder", "rounds", "scene_specs", "write_dataset", "write_image", "write_labels"]

MANIFEST = "simulated.json"
"""Written last: names the spec and every file with its size."""
VERSION = 5
"""Rises when the same spec would give other pixels."""
SCALE = 1e-4
PREFIX, PASTED = "simulated_", "simulated_over_"
"""How the names of simulated scenes begin, and those of simulated clouds over real ground."""
README = """SIMULATED scenes, made by geoadapt (data_pipelines/simulate): nothing here was seen by a satellite.

images/NAME.tif  reflectance x 10000, uint16, 0 = nodata; bands named by STAC common name; top-of-atmosphere, but for
                 hls_s30 and hls_l30 corrected for the air as those products are
labels/NAME.tif  0 clear, 1 cloud, 2 thin_cloud, 3 shadow, 255 nodata; the truth, known because it was made

Land, clouds and sensors follow simple rules, so scores on these scenes say that a program works, not how well a model
does on real scenes. Made again by: geoadapt prepare data=simulated data.root=THIS_FOLDER
"""


OVER = """
The ground of these scenes is a real, clear image; clouds, shadows and the air above them are simulated.
"""


def scene_specs(scenes: int, size: int, seed: int, sensors: Sequence[str]) -> dict[str, SceneSpec]:
    """Name → what to simulate: sensors in turn, every landscape and sky once in each round, cover 0.06–0.72 or 0."""
    if scenes < 1 or not sensors:
        raise GeoadaptError("data", f"{scenes} scenes of {list(sensors)}", "choose at least one scene and one sensor")
    rng = np.random.default_rng([seed, 1])
    landscapes, skies = rounds(rng, list(BIOMES), scenes), rounds(rng, list(SKIES), scenes)
    found = {}
    for i in range(scenes):
        sensor = sensors[i % len(sensors)]
        cover = 0.06 + 0.66 * ((0.37 + 0.618034 * i) % 1) if i % 12 != 11 else 0.0
        day = date(2021, 1, 1) + timedelta(days=_day((0.38 + 0.618034 * (i + seed)) % 1))
        spec = SceneSpec(size, 1000 * seed + i, sensor, day.isoformat(), round(cover, 3), landscapes[i], skies[i])
        found[f"simulated_{seed}_{i:02d}_{sensor}_{day:%Y%m%d}"] = spec
    return found


def _day(share: float) -> int:
    """Day of year − 1 for a number in [0, 1): two thirds of them from April to September."""
    return int(np.interp(share, [0, 1 / 6, 5 / 6, 1], [0, 90, 273, 364]))


def rounds(rng: np.random.Generator, names: list[str], count: int) -> list[str]:
    """``count`` names, each once before any comes again, in an order of its own in every round."""
    rounds = -(-count // len(names))
    return [str(name) for _ in range(rounds) for name in rng.permutation(names)][:count]


def write_dataset(root: Path, scenes: int, size: int, seed: int, sensors: Sequence[str]) -> list[str]:
    """Make the scenes under ``root`` unless they are there already; returns their names, in order.

    Raises:
        GeoadaptError: ``root`` holds images that this function did not make, or cannot be written.
    """
    specs = scene_specs(scenes, size, seed, sensors)
    return fill_folder(root, specs, lambda name: simulate_scene(specs[name]), PREFIX)


def fill_folder(
    root: Path, specs: dict[str, SceneSpec], make: Callable[[str], SimulatedScene], prefix: str
) -> list[str]:
    """Write what ``make`` gives for each name under ``root``, unless it is there; names start with ``prefix``.

    Raises:
        GeoadaptError: ``root`` holds other images, or cannot be written.
    """
    wanted = _fingerprint(specs)
    found = _manifest(root)
    if found is not None and found.get("spec") == wanted and _complete(root, found, prefix):
        return list(specs)
    _clear(root, prefix)
    files = {}
    for name in specs:
        scene = make(name)
        for path in (
            write_image(root / "images" / f"{name}.tif", scene),
            write_labels(root / "labels" / f"{name}.tif", scene),
        ):
            files[path.relative_to(root).as_posix()] = path.stat().st_size
    write_text(root / "README.txt", README + (OVER if prefix == PASTED else ""))
    plain = {"simulated": True, "version": VERSION, "spec": wanted, "files": files}
    plain["scenes"] = {name: asdict(spec) for name, spec in specs.items()}
    write_text(root / MANIFEST, json.dumps(plain, indent=1) + "\n")
    return list(specs)


def _fingerprint(specs: dict[str, SceneSpec]) -> str:
    text = json.dumps({name: asdict(spec) for name, spec in specs.items()}, sort_keys=True)
    return hashlib.sha256(f"{VERSION} {text}".encode()).hexdigest()


def _manifest(root: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def _complete(root: Path, manifest: dict[str, Any], prefix: str) -> bool:
    """Whether every file is there with its size; names that leave ``root`` never count."""
    for name, size in manifest["files"].items():
        path = root / name
        if not _ours(root, path, prefix) or not path.is_file() or path.stat().st_size != size:
            return False
    return True


def _ours(root: Path, path: Path, prefix: str) -> bool:
    """Whether the file is of the kind that ``prefix`` names; that of simulated scenes begins that of pasted clouds."""
    kind = PASTED if path.name.startswith(PASTED) else PREFIX
    return path.parent in (root / "images", root / "labels") and path.name.startswith(PREFIX) and kind == prefix


def _clear(root: Path, prefix: str) -> None:
    """Remove what an earlier spec or a broken run left; refuse where anything else lies in the way."""
    present = [path for folder in ("images", "labels") for path in sorted((root / folder).glob("*"))]
    foreign = [path for path in present if not _ours(root, path, prefix) and not path.name.startswith(".")]
    if foreign:
        raise GeoadaptError(
            foreign[0], "was not made by the simulator, which would mix with it", "choose an empty folder as data.root"
        )
    (root / MANIFEST).unlink(missing_ok=True)
    for path in present:
        if _ours(root, path, prefix):
            path.unlink()


def write_image(path: Path, scene: SimulatedScene) -> Path:
    """Reflectance as uint16 × 10000 with band names, scale and nodata 0 declared."""
    count, height, width = scene.values.shape
    tags = {
        "SIMULATED": "yes",
        "TIFFTAG_IMAGEDESCRIPTION": "simulated by geoadapt; nothing here was seen by a satellite",
        "TIFFTAG_DATETIME": scene.time.strftime("%Y:%m:%d %H:%M:%S"),
        "datetime": scene.time.isoformat(),
        "sensor": scene.sensor,
        "landscape": scene.biome,
    }
    spec = RasterSpec(
        height,
        width,
        count,
        "uint16",
        scene.crs,
        scene.transform,
        nodata=0,
        names=scene.bands,
        scale=SCALE,
        tags=tags,
    )
    stored = np.round(np.nan_to_num(scene.values, nan=0.0) / np.float32(SCALE)).astype(np.uint16)
    return _write(path, spec, stored)


def write_labels(path: Path, scene: SimulatedScene) -> Path:
    """The truth as uint8 with class names and colours."""
    height, width = scene.labels.shape
    spec = RasterSpec(
        height,
        width,
        1,
        "uint8",
        scene.crs,
        scene.transform,
        nodata=NODATA,
        names=("class",),
        categories=CLOUD_CLASSES,
        tags={"SIMULATED": "yes"},
    )
    return _write(path, spec, scene.labels[None])


def _write(path: Path, spec: RasterSpec, values: NDArray[np.generic]) -> Path:
    try:
        with CogSink(path, spec) as sink:
            sink.write(Window(0, 0, spec.height, spec.width), values)
            return sink.commit()
    except (OSError, RasterioError) as error:
        raise GeoadaptError(path, f"could not be written: {error}", "check the disk and the permissions") from error
