"""What is asked of a model: target, loss, metrics, and how a prediction becomes a cube again."""

from geoadapt.registry import Entry
from geoadapt.tasks.config import CloudSegmentationConfig, PretrainingConfig

__all__ = ["TASKS"]

TASKS: dict[str, Entry] = {
    "cloud_segmentation": Entry(CloudSegmentationConfig, "geoadapt.tasks.cloud_segmentation:build"),
    "pretraining": Entry(PretrainingConfig, "geoadapt.training.pretrain:build"),
}
