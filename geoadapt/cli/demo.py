"""The demo, step by step: simulate, pre-train a little backbone, adapt it, mask a whole scene, write a page.

In: a folder. Out: in it ``data/ backbone/ run/ scene/ masks/ index.html``. No network, no download.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from geoadapt.cli.demo_page import MaskedScene, write_demo_page
from geoadapt.errors import GeoadaptError

if TYPE_CHECKING:
    from geoadapt.fields.scenes import Dataset
    from geoadapt.training.run import RunResult

__all__ = ["demo"]

COMMAND = "geoadapt demo"
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
    pretrain_seconds: float = 7.0
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
        GeoadaptError: ``output`` cannot be used.
    """
    from geoadapt.inference.machine import use_threads

    scale = scale or Scale()
    steps = Steps()
    threads = use_threads()
    print(f"geoadapt demo in {output}; everything in it is simulated\n", flush=True)
    with steps.step(f"simulating {scale.scenes} small scenes with known clouds, and one of {size} × {size} px"):
        scene = _simulate(output, seed, size, scale)
    with steps.step("pre-training a small vision transformer on them, without labels (the demo's own backbone)"):
        notes = _pretrain(output, seed, scale)
    with steps.step("freezing it, adapting it with LoRA and a decoder, and running the controls"):
        result = _adapt(output, seed, scale, threads)
    with steps.step(f"masking the {size} × {size} px scene, tile by tile"):
        masks = _mask(output, scene, result)
    with steps.step("writing the page"):
        masked = MaskedScene(scene[0], scene[1], masks)
        page = write_demo_page(output / "index.html", masked, result.metrics, notes, steps.seconds, result.page)
    _say(output, scene[0], masks, page, steps.total)
    return 0


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


def _pretrain(output: Path, seed: int, scale: Scale) -> dict[str, str]:
    """A masked autoencoder for a few seconds on the training scenes' pixels; stores the encoder, says what was done."""
    import torch

    from geoadapt.backbones.config import SmallVitConfig
    from geoadapt.backbones.small_vit import MaskedAutoencoder, build, save
    from geoadapt.fields.config import SimulatedConfig
    from geoadapt.fields.simulated import build as open_data

    data = open_data(SimulatedConfig(root=str(output / "data"), seed=seed), seed)
    encoder = build(SmallVitConfig(random_weights=True, seed=seed))
    learner = MaskedAutoencoder(encoder)
    optimiser = torch.optim.AdamW(learner.parameters(), lr=1e-3, weight_decay=0.05)
    draw = _chips(data, seed, scale)
    losses: list[float] = []
    generator = torch.Generator().manual_seed(seed)
    begin = time.perf_counter()
    while time.perf_counter() - begin < scale.pretrain_seconds:
        loss = learner.loss(draw(len(losses)), generator)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    save(encoder, output / "backbone" / "small_vit.safetensors")
    parameters = sum(p.numel() for p in encoder.parameters())
    return {
        "backbone": f"small_vit, {parameters:,} parameters, pre-trained in this run: a masked autoencoder, "
        f"{len(losses)} steps in {scale.pretrain_seconds:.0f} s on simulated scenes; error of hidden patches "
        f"{sum(losses[:5]) / len(losses[:5]):.2f} → {sum(losses[-5:]) / len(losses[-5:]):.2f}",
    }


def _chips(data: Dataset, seed: int, scale: Scale) -> Callable[[int], Any]:
    """A function that gives the i-th batch of chips; none comes from a test scene."""
    from geoadapt.fields.chips import Collate, RandomChips

    batch = 16
    chips, collate = RandomChips(data, scale.chip, 10**6, seed), Collate(data.channels)
    return lambda i: collate([chips[i * batch + j] for j in range(batch)])


def _adapt(output: Path, seed: int, scale: Scale, threads: int) -> RunResult:
    """The same training that ``geoadapt train`` runs, on the simulated scenes."""
    from geoadapt.config import job_from_plain
    from geoadapt.training.run import train

    plain = {
        "backbone": {"name": "small_vit", "weights": str(output / "backbone")},
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


def _mask(output: Path, scene: tuple[Path, Path], result: RunResult) -> Path:
    """The labels of the whole scene, as a COG; raises GeoadaptError where that failed."""
    from geoadapt.bundle import load_bundle
    from geoadapt.config import InferConfig
    from geoadapt.inference.predict import predict

    bundle = load_bundle(result.bundle, weights=str(output / "backbone"))
    done = predict([scene[0]], bundle, output / "masks", InferConfig(overlap=32, overwrite=True), command=COMMAND)
    if done[0].status != "done":
        raise GeoadaptError(scene[0], f"could not be masked: {done[0].error}", "report this as a bug")
    return done[0].files["labels"]


def _say(output: Path, scene: Path, masks: Path, page: Path, seconds: float) -> None:
    """Where everything is, and what to type next."""
    bundle, weights = (quote(str(output / part)) for part in ("run/bundle", "backbone"))
    print(
        f"""
done in {seconds:.0f} s

  page      {page}   <- open this
  report    {output / "run" / "report.html"}
  mask      {masks}
  bundle    {output / "run" / "bundle"}

next
  geoadapt inspect {quote(str(masks))}
  geoadapt predict {quote(str(scene))} --bundle {bundle} --weights {weights} --output masks
  geoadapt train experiment=cloud_segmentation data=folder data.root=YOUR_FOLDER""",
        flush=True,
    )
