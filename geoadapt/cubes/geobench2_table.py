"""The fifteen data sets of GEO-Bench-2 that classify, segment or regress; literal data.

Tasks, sensors, counts, sizes and licences are those of the benchmark's documents (docs/index.md and the notebooks of
github.com/The-AI-Alliance/GEO-Bench-2); orders of bands, label values and names of rasters are those that its loaders
rely on (geobench_v2/datasets); stored units are what each set's own publication says, marked where assumed.
"""

from __future__ import annotations

from geoadapt.cubes.geobench2 import Layout2, Modality
from geoadapt.cubes.geobench2_classes import (
    CLIMATE_ZONES,
    CORINE_19,
    CROPS,
    DRIVERS,
    FLAIR,
    GENERA_15,
    LAND_COVER_7,
)

__all__ = ["GEOBENCH2"]

RGBN = ("red", "green", "blue", "nir")
BUILDINGS = {0: 1, 1: 2}
"""What SpaceNet stores; the benchmark's class 0 is never there."""
S2_12 = (
    *("coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09"),
    *("swir16", "swir22"),
)
S2_10 = tuple(band for band in S2_12 if band not in ("coastal", "nir09"))
HLS_6 = ("blue", "green", "red", "nir08", "swir16", "swir22")
LANDSAT_6 = ("blue", "green", "red", "nir", "swir16", "swir22")
VV_VH = ("vv", "vh")
REFLECTANCE, DECIBELS, BRIGHTNESS = "reflectance", "dB", "brightness"
EIGHT_BIT = 1 / 255
OPTICAL_FILES = ("s2", "sentinel2", "optical", "image", "img")
SAR_FILES = ("s1", "sentinel1", "sar")
MASKS = ("mask", "label", "labels", "annotation", "target")
ACCURACY, F1, MIOU = "overall accuracy", "multilabel F1", "mIoU"

GEOBENCH2: dict[str, Layout2] = {
    "benv2": Layout2(
        key="benv2",
        title="BigEarthNet v2",
        kind="labels",
        classes=CORINE_19,
        inputs=(
            Modality("optical", OPTICAL_FILES, S2_12, REFLECTANCE, 1e-4),
            Modality("sar", SAR_FILES, VV_VH, DECIBELS, assumed="that VV comes before VH"),
        ),
        size=120,
        resolution=10.0,
        splits=(20000, 4000, 4000),
        metric=F1,
        licence="CDLA-Permissive-1.0",
        sensor="sentinel2_l2a",
    ),
    "treesatai": Layout2(
        key="treesatai",
        title="TreeSatAI",
        kind="labels",
        classes=GENERA_15,
        inputs=(
            Modality(
                *("optical", ("aerial", "image"), ("nir", "green", "blue", "red"), BRIGHTNESS, EIGHT_BIT),
                channels=RGBN,
            ),
        ),
        size=304,
        resolution=0.2,
        splits=(20000, 4000, 4000),
        metric=F1,
        licence="CC-BY-4.0",
        labels=("species_labels", "labels", "label"),
        assumed="Sentinel-1 and Sentinel-2 beside the aerial image are left out",
    ),
    "so2sat": Layout2(
        key="so2sat",
        title="So2Sat LCZ42",
        kind="class",
        classes=CLIMATE_ZONES,
        inputs=(
            Modality(
                *("optical", OPTICAL_FILES, S2_10, REFLECTANCE),
                assumed="that it is stored as 0 to 1",
            ),
            Modality(
                *("sar", SAR_FILES, VV_VH, DECIBELS),
                decibel=True,
                amplitude=True,
                assumed="that VV comes before VH, of each the real part of the amplitude with all its speckle",
            ),
        ),
        size=32,
        resolution=10.0,
        splits=(19992, 986, 986),
        metric=ACCURACY,
        licence="CC-BY-4.0",
        sensor="sentinel2",
        repository="mso2sat",
        assumed="the size of the images",
    ),
    "forestnet": Layout2(
        key="forestnet",
        title="ForestNet",
        kind="class",
        classes=DRIVERS,
        inputs=(
            Modality(
                *("optical", ("landsat", "image", "optical"), LANDSAT_6, BRIGHTNESS, EIGHT_BIT),
                assumed="that 8 bits are stored",
            ),
        ),
        size=332,
        resolution=15.0,
        splits=(6464, 989, 989),
        metric=ACCURACY,
        licence="CC-BY-4.0",
        sensor="landsat8",
        assumed="the size of the images",
    ),
    "biomassters": Layout2(
        key="biomassters",
        title="BioMassters",
        kind="value_map",
        classes=("above_ground_biomass",),
        inputs=(
            Modality(
                *("optical", OPTICAL_FILES, (*S2_10, "cloud_probability"), REFLECTANCE, 1e-4),
                channels=S2_10,
                dates=12,
            ),
            Modality(
                *("sar", SAR_FILES, ("vv", "vh", "vv_descending", "vh_descending"), DECIBELS),
                nodata=-9999.0,
                channels=VV_VH,
                dates=12,
                assumed="that the ascending pass comes first",
            ),
        ),
        size=256,
        resolution=10.0,
        splits=(4011, 1739, 2776),
        metric="1 - RMSE x 0.253795 in z-scored units",
        licence="CC-BY-4.0",
        sensor="sentinel2_l2a",
        unit="t/ha",
        labels=("agbm", *MASKS),
    ),
    "kuro_siwo": Layout2(
        key="kuro_siwo",
        title="Kuro Siwo",
        kind="class_map",
        classes=("no water", "permanent water", "flood", "no data"),
        inputs=(
            Modality(
                *("sar", (*SAR_FILES, "pre_event|post_event"), VV_VH, DECIBELS),
                decibel=True,
                dates=3,
                assumed="that linear power is stored",
            ),
            Modality("terrain", ("dem", "elevation"), ("elevation",), "m, degrees"),
        ),
        size=224,
        resolution=10.0,
        splits=(4000, 1000, 2000),
        metric=MIOU,
        licence="CC-BY / MIT",
        labels=MASKS,
    ),
    "dynamic_earthnet": Layout2(
        key="dynamic_earthnet",
        title="DynamicEarthNet",
        kind="class_map",
        classes=LAND_COVER_7,
        inputs=(
            Modality(
                *("optical", ("planet", "image"), ("blue", "green", "red", "nir"), REFLECTANCE, 1e-4),
                channels=RGBN,
                dates=6,
                places=(0, 4, 9, 14, 19, 24),
                assumed="that the weekly setting is meant, six days of a month",
            ),
        ),
        size=512,
        resolution=3.0,
        splits=(700, 100, 200),
        metric=MIOU,
        licence="CC-BY-4.0, CC-BY-SA-4.0 elsewhere in the benchmark's documents",
        labels=MASKS,
        assumed="Sentinel-2 beside it is left out",
    ),
    "pastis": Layout2(
        key="pastis",
        title="PASTIS",
        kind="class_map",
        classes=CROPS,
        inputs=(
            Modality("optical", OPTICAL_FILES, S2_10, REFLECTANCE, 1e-4, dates=12),
            Modality(
                *("sar", ("s1_asc", "s1a", *SAR_FILES), ("vv", "vh", "vv_vh_ratio"), DECIBELS),
                channels=VV_VH,
                dates=12,
            ),
        ),
        size=128,
        resolution=10.0,
        splits=(1455, 482, 496),
        metric=MIOU,
        licence="CC-BY-4.0",
        sensor="sentinel2_l2a",
        unknown=(19, 255),
        label_bands=3,
        labels=("semantic", *MASKS),
        assumed="how many dates of a series count (the last 12 are taken); the descending passes are left out",
    ),
    "burn_scars": Layout2(
        key="burn_scars",
        title="HLS Burn Scars",
        kind="class_map",
        classes=("not burned", "burned"),
        inputs=(
            Modality(
                *("optical", ("hls", *OPTICAL_FILES), HLS_6, REFLECTANCE),
                nodata=-9999.0,
                assumed="that it is stored as 0 to 1",
            ),
        ),
        size=512,
        resolution=30.0,
        splits=(524, 160, 120),
        metric=MIOU,
        licence="CC-BY-4.0",
        sensor="hls_s30",
        unknown=(-1, 255),
        labels=MASKS,
    ),
    "spacenet2": Layout2(
        key="spacenet2",
        title="SpaceNet 2",
        kind="class_map",
        classes=("background", "no building", "building"),
        inputs=(
            Modality(
                *("optical", ("worldview", "multispectral", "ms", "image")),
                ("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir09"),
                BRIGHTNESS,
                1 / 2047,
                assumed="that 11 bits are stored; WorldView's second near infrared is called nir09",
            ),
        ),
        size=512,
        resolution=0.3,
        splits=(5186, 1461, 2961),
        metric=MIOU,
        licence="CC-BY-SA-4.0",
        stored=BUILDINGS,
        labels=("semantic", "segmentation", *MASKS),
        assumed="the panchromatic image is left out; the others are sharpened with it",
    ),
    "cloudsen12": Layout2(
        key="cloudsen12",
        title="CloudSEN12",
        kind="class_map",
        classes=("clear", "thick cloud", "thin cloud", "cloud shadow"),
        inputs=(
            Modality(
                *("optical", ("s2l2a", "s2l1c", *OPTICAL_FILES), S2_12, REFLECTANCE, 1e-4),
            ),
        ),
        size=512,
        resolution=10.0,
        splits=(4000, 535, 975),
        metric=MIOU,
        licence="CC0",
        sensor="sentinel2",
        labels=MASKS,
    ),
    "fotw": Layout2(
        key="fotw",
        title="Fields of the World",
        kind="class_map",
        classes=("background", "field", "field boundary"),
        inputs=(
            Modality(
                *("optical", ("win_a", "window_a", *OPTICAL_FILES), RGBN, REFLECTANCE, 1e-4),
                assumed="red before green and blue",
            ),
        ),
        size=256,
        resolution=10.0,
        splits=(4000, 1000, 2000),
        metric=MIOU,
        licence="CC-BY and others by country, Etalab in France",
        sensor="sentinel2_l2a",
        unknown=(3, 255),
        labels=("semantic", *MASKS),
        assumed="which of two dates is taken (the first window)",
    ),
    "caffe": Layout2(
        key="caffe",
        title="CaFFe",
        kind="class_map",
        classes=("not available", "rock", "glacier", "ocean and ice melange"),
        inputs=(
            Modality(
                *("optical", ("image", "sar", "gray", "grey"), ("gray",), BRIGHTNESS, EIGHT_BIT),
                assumed="radar intensity of several sensors in 8 bits, which stands where pictures are read",
            ),
        ),
        size=512,
        resolution=20.0,
        splits=(4000, 1000, 2000),
        metric=MIOU,
        licence="CC-BY-4.0",
        # as the classes, or as the grey values of the set's own publication
        stored={0: 0, 1: 1, 2: 2, 3: 3, 64: 1, 127: 2, 254: 3},
        labels=MASKS,
        assumed="the ground resolution, which differs by sensor from 7 to 20 m",
    ),
    "flair2": Layout2(
        key="flair2",
        title="FLAIR #2",
        kind="class_map",
        classes=FLAIR,
        inputs=(
            Modality(
                *("optical", ("aerial", "image"), (*RGBN, "surface_height"), BRIGHTNESS, EIGHT_BIT),
                channels=RGBN,
            ),
            Modality(
                *("surface", ("aerial", "image"), (*RGBN, "surface_height"), "m", 0.2),
                channels=("surface_height",),
                assumed="that a step of the height is 0.2 m",
            ),
        ),
        size=512,
        resolution=0.2,
        splits=(4049, 1022, 3022),
        metric=MIOU,
        licence="Etalab 2.0",
        # nineteen are stored; those from the thirteenth on are one
        stored={n: min(n, len(FLAIR)) - 1 for n in range(1, 20)},
        labels=MASKS,
    ),
    "spacenet7": Layout2(
        key="spacenet7",
        title="SpaceNet 7",
        kind="class_map",
        classes=("background", "no building", "building"),
        inputs=(
            Modality(
                *("optical", ("planet", "image"), (*RGBN[:3], "alpha"), BRIGHTNESS, EIGHT_BIT),
                channels=RGBN[:3],
                assumed="that a fourth band, where there is one, is opacity",
            ),
        ),
        size=512,
        resolution=4.0,
        splits=(3500, 652, 1152),
        metric=MIOU,
        licence="CC-BY-SA-4.0",
        stored=BUILDINGS,
        labels=MASKS,
    ),
}
"""Key of the benchmark → its layout."""
