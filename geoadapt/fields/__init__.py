"""Cubes to batches: labelled scenes, chips drawn from them, augmentation, loading.

In: a data configuration. Out: labelled scenes, and batches of fields (b, t, c, h, w).
"""

from geoadapt.fields.config import CsmaskConfig, FolderConfig, SimulatedConfig
from geoadapt.registry import Entry

__all__ = ["DATASETS"]

DATASETS: dict[str, Entry] = {
    "csmask": Entry(CsmaskConfig, "geoadapt.fields.csmask:build"),
    "folder": Entry(FolderConfig, "geoadapt.fields.folder:build"),
    "simulated": Entry(SimulatedConfig, "geoadapt.fields.simulated:build"),
}
