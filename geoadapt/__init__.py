"""geoadapt adapts frozen geospatial and weather foundation models.

The functions that the command line calls, for Python: each is imported when it is first used, so that
``import geoadapt`` is cheap and loads no torch.

    import geoadapt as ga

    cube = ga.open_cube("scene.SAFE", bbox=(-61.1, -3.2, -60.9, -3.0))
    job = ga.compose(["experiment=cloud_segmentation", "data=folder", "data.root=chips"])
    result = ga.train(job, "runs/first")
    labels = ga.load_bundle(result.bundle).predict(cube)

    era5 = ga.open_weather("era5.zarr", variables=["mean_sea_level_pressure"], chunks={})
    model = ga.load_forecaster("runs/slp/bundle")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geoadapt.errors import GeoadaptError

if TYPE_CHECKING:
    from geoadapt.bundle.forecaster import load_forecaster
    from geoadapt.cli.compose import compose
    from geoadapt.cli.train import train
    from geoadapt.cubes.inspect import inspect
    from geoadapt.cubes.open import open_cube
    from geoadapt.cubes.scene import open_scene
    from geoadapt.cubes.series import open_series
    from geoadapt.cubes.weather import open_weather
    from geoadapt.inference.cube import load_bundle
    from geoadapt.inference.forecast import forecast
    from geoadapt.inference.predict import predict
    from geoadapt.metrics.verify import verify
    from geoadapt.training.evaluate import evaluate
    from geoadapt.training.forecast_evaluate import evaluate_forecast, evaluate_forecaster

__version__ = "0.1.0"

__all__ = [
    "GeoadaptError",
    "__version__",
    "compose",
    "evaluate",
    "evaluate_forecast",
    "evaluate_forecaster",
    "forecast",
    "inspect",
    "load_bundle",
    "load_forecaster",
    "open_cube",
    "open_scene",
    "open_series",
    "open_weather",
    "predict",
    "train",
    "verify",
]

_HOMES = {
    "compose": "geoadapt.cli.compose",
    "evaluate": "geoadapt.training.evaluate",
    "evaluate_forecast": "geoadapt.training.forecast_evaluate",
    "evaluate_forecaster": "geoadapt.training.forecast_evaluate",
    "forecast": "geoadapt.inference.forecast",
    "inspect": "geoadapt.cubes.inspect",
    "load_bundle": "geoadapt.inference.cube",
    "load_forecaster": "geoadapt.bundle.forecaster",
    "open_cube": "geoadapt.cubes.open",
    "open_scene": "geoadapt.cubes.scene",
    "open_series": "geoadapt.cubes.series",
    "open_weather": "geoadapt.cubes.weather",
    "predict": "geoadapt.inference.predict",
    "train": "geoadapt.cli.train",
    "verify": "geoadapt.metrics.verify",
}


def __getattr__(name: str) -> Any:
    """Import a public function on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'geoadapt' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
