"""What is asked of a model: target, loss, metrics, and how a prediction becomes a cube again."""

from geoadapt.registry import Entry
from geoadapt.tasks.config import (
    CloudRemovalConfig,
    CloudSegmentationConfig,
    ForecastingConfig,
    PretrainingConfig,
    WeatherPretrainingConfig,
)
from geoadapt.tasks.samples_config import (
    ClassificationConfig,
    MultilabelConfig,
    RegressionConfig,
    SampleSegmentationConfig,
)

__all__ = ["TASKS"]

TASKS: dict[str, Entry] = {
    "cloud_removal": Entry(CloudRemovalConfig, "geoadapt.tasks.cloud_removal:build"),
    "cloud_segmentation": Entry(CloudSegmentationConfig, "geoadapt.tasks.cloud_segmentation:build"),
    "forecasting": Entry(ForecastingConfig, "geoadapt.tasks.forecasting:build"),
    "classification": Entry(ClassificationConfig, "geoadapt.tasks.classification:build"),
    "multilabel": Entry(MultilabelConfig, "geoadapt.tasks.multilabel:build"),
    "regression": Entry(RegressionConfig, "geoadapt.tasks.regression:build"),
    "segmentation": Entry(SampleSegmentationConfig, "geoadapt.tasks.classification:build"),
    "pretraining": Entry(PretrainingConfig, "geoadapt.training.pretrain:build"),
    "weather_pretraining": Entry(WeatherPretrainingConfig, "geoadapt.training.pretrain_weather:pretrain_weather"),
}
