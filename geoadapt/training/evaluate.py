"""Score a bundle, and the simple models it carries, on labelled data that it has not seen.

In: a bundle and a data configuration. Out: a run folder with metrics and a page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from geoadapt.bundle.load import Bundle, load_baselines, load_bundle
from geoadapt.config import InferConfig, RuntimeConfig
from geoadapt.errors import GeoadaptError
from geoadapt.fields import DATASETS
from geoadapt.fields.scenes import BlockSplit, Dataset, LabelledScene
from geoadapt.inference.machine import choose_device, use_threads
from geoadapt.registry import build
from geoadapt.training.page import RunStory, write_page
from geoadapt.training.results import MODEL, RunResult, summarise, write_metrics
from geoadapt.training.scoring import SceneScore, SceneScorer, module_scorer, pixel_scorer, score_scenes

__all__ = ["evaluate"]


def evaluate(
    bundle: str | Path,
    data: object,
    run_dir: str | Path,
    *,
    infer: InferConfig | None = None,
    runtime: RuntimeConfig | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    weights: str | None = None,
    allow_mismatch: bool = False,
    command: str = "",
) -> RunResult:
    """Metrics and a page of a bundle on the test scenes of ``data``; without named ones, on all of its scenes.

    Of these the test blocks are scored where ``data.test_fraction`` holds some back, else every pixel.
    Raises GeoadaptError where the data lack a channel of the bundle, or name no scene.
    """
    where = runtime or RuntimeConfig(device="cpu")
    device = choose_device(where.device)
    use_threads(where.threads)
    made = load_bundle(bundle, device=device, weights=weights, allow_mismatch=allow_mismatch)
    if not getattr(data, "channels", True):
        data = replace(data, channels=list(made.channels))  # type: ignore[type-var]
    # the training's own seed draws the same blocks, so that those it learned from are not scored
    dataset: Dataset = build(DATASETS, data, made.card.seed)
    scenes = dataset.test or dataset.train
    sides: Mapping[str, BlockSplit] = dataset.test_blocks if getattr(data, "test_fraction", 0) else {}
    if tuple(made.channels) != tuple(dataset.channels):
        raise GeoadaptError(
            "data.channels",
            f"the bundle takes {list(made.channels)}, the data give {list(dataset.channels)}",
            "choose data with the bundle's channels, in their order",
        )
    how = infer or InferConfig()
    if how.threshold is None:
        how = replace(how, threshold=made.threshold)
    scored = _scored(made, scenes, sides, how, getattr(data, "block", 64), device)
    names = tuple(c.name for c in made.classes)
    metrics = summarise(scored, names, draws=bootstrap, seed=seed)
    metrics |= {k: v for k, v in made.card.metrics.items() if k == f"{MODEL}/parameters"}
    folder = Path(run_dir)
    write_metrics(folder, metrics)
    story = RunStory(
        title=f"{made.name} on {dataset.name}",
        channels=made.channels,
        scenes=scenes,
        classes=made.classes,
        scored=scored,
        metrics=metrics,
        notes={MODEL: f"the bundle {made.name}"},
        data=f"{', '.join(s.name for s in scenes)}; the bundle was trained on: {made.card.data}",
        simulated=dataset.simulated,
        command=command,
        config={"bundle": str(bundle), "data": asdict(data), "infer": asdict(how)},  # type: ignore[call-overload]
    )
    page = write_page(folder / "report.html", story)
    return RunResult(folder, metrics, Path(bundle), page)


def _scored(
    bundle: Bundle,
    scenes: Sequence[LabelledScene],
    sides: Mapping[str, BlockSplit],
    how: InferConfig,
    block: int,
    device: str,
) -> dict[str, list[SceneScore]]:
    """The bundle's scores and those of the models that it carries, on the blocks of ``sides``, or on whole scenes."""
    return {
        who: score_scenes(
            scorer,
            scenes,
            sides,
            bundle.classes,
            how,
            multiple=bundle.multiple if who == MODEL else 1,
            block=block,
            device=device,
            doubts=who == MODEL,
        )
        for who, scorer in _scorers(bundle, device).items()
    }


def _scorers(bundle: Bundle, device: str) -> dict[str, SceneScorer]:
    found: dict[str, SceneScorer] = {MODEL: _bundle_scorer(bundle)}
    for name, baseline in load_baselines(bundle).items():
        if isinstance(baseline, nn.Module):
            found[name] = module_scorer(baseline.to(device), bundle.channels, device)
        else:
            found[name] = pixel_scorer(baseline.scores)
    return found


def _bundle_scorer(bundle: Bundle) -> SceneScorer:
    def for_scene(scene: LabelledScene) -> object:
        return lambda values, valid: bundle.scores(
            values, valid, time=scene.image.info.time, resolution=scene.resolution, sensor=scene.image.info.sensor
        )

    return for_scene  # type: ignore[return-value]
