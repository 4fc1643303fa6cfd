"""The demo, step by step: simulate, adapt the shipped backbone, mask a whole scene, restore a series, write a page.

In: a folder. Out: in it ``data/ run/ scene/ scene_truth/ masks/ series/ restored/ index.html``. No network,
no download.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from geoadapt.cli.costs import check_folder, simulation_cost
from geoadapt.cli.demo_page import MaskedScene, write_demo_page
from geoadapt.cli.demo_series import restore_place
from geoadapt.errors import GeoadaptError
from geoadapt.shipped import shipped_weights

if TYPE_CHECKING:
    from geoadapt.training.run import RunResult

__all__ = ["demo", "outline"]

COMMAND = "geoadapt demo"
BACKBONE = "small_eo"
STEPS = 5


@dataclass
class Steps:
    """Announces each step and remembers how long it took [s]."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print what begins, and when it ended."""
        print(f"[{len(self.seconds) + 1}/{STEPS}] {what} …", flush=True)
        begin = time.perf_counter()
        yield
        self.seconds[what] = time.perf_counter() - begin
        print(f"      {self.seconds[what]:.0f} s", flush=True)

    @property
    def total(self) -> float:
        """All steps together [s]."""
        return sum(self.seconds.values())


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is done: enough for a person to see it work, within a minute and a half on two cores."""

    scenes: int = 6
    side: int = 512
    """Of a training scene [px]."""
    fit_steps: int = 120
    fit_minutes: float = 0.3
    """At most, for the model and again for its control: on a slow machine the fit is worse, not longer."""
    chip: int = 64


def demo(output: Path, *, seed: int = 0, size: int = 2048, scale: Scale | None = None) -> int:
    """Run the whole path on simulated scenes under ``output``; gives the exit status.

    Args:
        output: a folder of the demo's own; made where it is not there.
        seed: of the scenes, the weights and the training.
        size: side of the scene that is masked at the end [px].
        scale: how much training; None = as documented.

    Raises:
        GeoadaptError: ``output`` cannot be used, or the backbone is not there.
    """
    from geoadapt.inference.machine import use_threads

    scale = scale or Scale()
    steps = Steps()
    threads = use_threads()
    weights, notes = _backbone()
    print(f"geoadapt demo in {output}; everything in it is simulated\n", flush=True)
    with steps.step(f"simulating {scale.scenes} small scenes with known clouds, and one of {size} × {size} px"):
        scene = _simulate(output, seed, size, scale)
    with steps.step(f"adapting {BACKBONE}, frozen as it ships, with LoRA and a decoder, and running the controls"):
        result = _adapt(output, weights, seed, scale, threads)
    with steps.step(f"masking the {size} × {size} px scene, tile by tile"):
        masks = _mask(output, weights, scene, result)
    with steps.step("removing the clouds of a year over one simulated place"):
        place = restore_place(output, seed, COMMAND)
    with steps.step("writing the page"):
        masked = MaskedScene(scene[0], scene[1], masks)
        page = write_demo_page(output / "index.html", masked, place, result.metrics, notes, steps.seconds, result.page)
    _say(output, scene[0], masks, page, steps.total)
    return 0


def outline(output: Path, *, seed: int = 0, size: int = 2048, scale: Scale | None = None) -> list[str]:
    """What ``demo`` would do and cost, in a few lines; raises GeoadaptError as ``demo`` does."""
    from geoadapt.fields.config import SimulatedConfig

    scale = scale or Scale()
    check_folder(output, "--output")
    _backbone()
    sensors = SimulatedConfig().sensors
    cost = simulation_cost(scale.scenes, scale.side, sensors) + simulation_cost(1, size, sensors)
    return [
        f"make      {scale.scenes} simulated scenes of {scale.side} × {scale.side} px, and one of {size} × {size} px",
        f"adapt     {BACKBONE} with LoRA and a decoder, {scale.fit_steps} steps, and the same on random weights, "
        f"seed {seed}",
        f"mask      the scene of {size} × {size} px",
        f"restore   a simulated place on every date of a year, and write {output / 'index.html'}",
        f"estimate  simulating: {cost}; fitting: at most {2 * 60 * scale.fit_minutes:.0f} s",
    ]


def _backbone() -> tuple[Path, dict[str, str]]:
    """The weights that ship, and what their card says of them; raises GeoadaptError where there are none."""
    weights = shipped_weights(BACKBONE)
    if weights is None:
        raise GeoadaptError(BACKBONE, "this copy of geoadapt comes without weights", "install geoadapt again")
    card = json.loads((weights.parent / "card.json").read_text(encoding="utf-8"))
    return weights, {
        "backbone": f"{card['name']}, came pre-trained with geoadapt: {card['what']}, {card['parameters']:,} "
        f"parameters, trained without labels on {card['data']}",
    }


def _simulate(output: Path, seed: int, size: int, scale: Scale) -> tuple[Path, Path]:
    """Training scenes under ``data``, and the scene to mask with its truth; gives the paths of the latter."""
    from data_pipelines import ensure
    from data_pipelines.simulate.dataset import write_image, write_labels
    from data_pipelines.simulate.scene import SceneSpec, simulate_scene
    from geoadapt.fields.config import SimulatedConfig

    ensure(SimulatedConfig(root=str(output / "data"), scenes=scale.scenes, size=scale.side, seed=seed))
    spec = SceneSpec(
        size, 1000 * seed + 777, date="2021-06-08", cloud_cover=0.35, biome="farmland", sky="mixed", swath_edge=False
    )
    made = simulate_scene(spec)
    name = f"simulated_{made.sensor}_{made.time:%Y%m%d}.tif"
    return write_image(output / "scene" / name, made), write_labels(output / "scene_truth" / name, made)


def _adapt(output: Path, weights: Path, seed: int, scale: Scale, threads: int) -> RunResult:
    """The same training that ``geoadapt train`` runs, on the simulated scenes."""
    from geoadapt.config import job_from_plain
    from geoadapt.training.run import train

    plain = {
        "backbone": {"name": BACKBONE, "weights": str(weights)},
        "adapter": {"name": "lora"},
        "head": {"name": "unet", "width": 16},
        "task": {"name": "cloud_segmentation"},
        "data": {"name": "simulated", "root": str(output / "data"), "scenes": scale.scenes, "size": scale.side}
        | {"seed": seed},
        "train": {
            "steps": scale.fit_steps,
            "val_every": max(1, scale.fit_steps // 3),
            "chip": scale.chip,
            "max_minutes": scale.fit_minutes,
            "controls": "rule,random_backbone",
            "bootstrap": 400,
        },
        "runtime": {"threads": threads},
        "seed": seed,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        return train(job_from_plain(plain), output / "run", COMMAND)


def _mask(output: Path, weights: Path, scene: tuple[Path, Path], result: RunResult) -> Path:
    """The labels of the whole scene, as a COG; raises GeoadaptError where that failed."""
    from geoadapt.bundle.load import load_bundle
    from geoadapt.config import InferConfig
    from geoadapt.inference.predict import predict

    bundle = load_bundle(result.bundle, weights=str(weights))
    done = predict([scene[0]], bundle, output / "masks", InferConfig(overlap=32, overwrite=True), command=COMMAND)
    if done[0].status != "done":
        raise GeoadaptError(scene[0], f"could not be masked: {done[0].error}", "report this as a bug")
    return done[0].files["labels"]


def _say(output: Path, scene: Path, masks: Path, page: Path, seconds: float) -> None:
    """Where everything is, and what to type next."""
    print(
        f"""
done in {seconds:.0f} s

  page      {page}   <- open this
  report    {output / "run" / "report.html"}
  mask      {masks}
  bundle    {output / "run" / "bundle"}
  restored  {output / "restored"}

next
  geoadapt inspect {quote(str(masks))}
  geoadapt predict {quote(str(scene))} --bundle {quote(str(output / "run" / "bundle"))} --output masks
  geoadapt predict SCENE --output masks  # your own, by the bundle that ships
  geoadapt predict {quote(str(output / "series" / "series" / "simulated_place.zarr"))} --method linear --output restored
  geoadapt train experiment=cloud_segmentation data=folder data.root=YOUR_FOLDER""",
        flush=True,
    )
