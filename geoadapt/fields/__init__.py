"""Cubes to batches: labelled scenes, chips drawn from them, augmentation, loading.

In: a data configuration. Out: labelled scenes, and batches of fields (b, t, c, h, w).
"""

from geoadapt.fields.config import (
    CloudDatasetConfig,
    CsmaskConfig,
    FolderConfig,
    MixedConfig,
    PretrainingDataConfig,
    SimulatedConfig,
)
from geoadapt.fields.geobench2_config import Geobench2Config, Geobench2StandinConfig
from geoadapt.fields.removal_config import RemovalDatasetConfig
from geoadapt.fields.samples_config import (
    FloodChipConfig,
    FuelMoistureConfig,
    ModisSamplesConfig,
    SitsSamplesConfig,
)
from geoadapt.fields.series_config import RealSeriesConfig, SimulatedSeriesConfig, TimeseriesConfig
from geoadapt.fields.weather_config import (
    Era5Config,
    Merra2Config,
    SimulatedWeatherConfig,
    WeatherConfig,
    WeatherPretrainingDataConfig,
)
from geoadapt.registry import Entry

__all__ = ["DATASETS"]

DATASETS: dict[str, Entry] = {
    "csmask": Entry(CsmaskConfig, "geoadapt.fields.csmask:build"),
    "folder": Entry(FolderConfig, "geoadapt.fields.folder:build"),
    "pretraining": Entry(PretrainingDataConfig, "geoadapt.fields.pretraining:build"),
    "simulated_series": Entry(SimulatedSeriesConfig, "geoadapt.fields.simulated_series:build"),
    "timeseries": Entry(TimeseriesConfig, "geoadapt.fields.timeseries:build"),
    "worldcereal": Entry(RealSeriesConfig, "geoadapt.fields.series_sets:build"),
    "modis_mt": Entry(RealSeriesConfig, "geoadapt.fields.series_sets:build"),
    "l8ny18": Entry(RealSeriesConfig, "geoadapt.fields.series_sets:build"),
    "landsat_p035r032": Entry(RealSeriesConfig, "geoadapt.fields.series_sets:build"),
    "flood_chip": Entry(FloodChipConfig, "geoadapt.fields.flood_chip:build"),
    "sits_samples": Entry(SitsSamplesConfig, "geoadapt.fields.sits_samples:build"),
    "modis_samples": Entry(ModisSamplesConfig, "geoadapt.fields.modis_samples:build"),
    "fuel_moisture": Entry(FuelMoistureConfig, "geoadapt.fields.fuel_moisture:build"),
    "geobench2": Entry(Geobench2Config, "geoadapt.fields.geobench2:build"),
    "geobench2_standin": Entry(Geobench2StandinConfig, "geoadapt.fields.geobench2:build"),
    "simulated": Entry(SimulatedConfig, "geoadapt.fields.simulated:build"),
    "hrc_whu": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "gf12ms_whu_gf1": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "gf12ms_whu_gf2": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "cloudsen12_high_l1c": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "cloudsen12_high_l2a": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "l8_biome": Entry(CloudDatasetConfig, "geoadapt.fields.cloud_datasets:build"),
    "sen2_mtc_new": Entry(RemovalDatasetConfig, "geoadapt.fields.removal_datasets:build"),
    "sen2_mtc_old": Entry(RemovalDatasetConfig, "geoadapt.fields.removal_datasets:build"),
    "sen12mscr": Entry(RemovalDatasetConfig, "geoadapt.fields.removal_datasets:build"),
    "sen12mscr_ts": Entry(RemovalDatasetConfig, "geoadapt.fields.removal_datasets:build"),
    "hls_gaps": Entry(RemovalDatasetConfig, "geoadapt.fields.removal_datasets:build"),
    "simulated_weather": Entry(SimulatedWeatherConfig, "geoadapt.fields.weather:build_simulated"),
    "weather_pretraining": Entry(WeatherPretrainingDataConfig, "geoadapt.fields.weather_archives:build"),
    "era5": Entry(Era5Config, "geoadapt.fields.weather:build"),
    "merra2": Entry(Merra2Config, "geoadapt.fields.weather:build"),
    "weather": Entry(WeatherConfig, "geoadapt.fields.weather:build"),
    "mixed": Entry(MixedConfig, "geoadapt.fields.mixed:build"),
}
