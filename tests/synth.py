"""Small synthetic inputs in the real layouts and names: images, SAFE products, Landsat folders, STAC items, stores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from numpy.typing import NDArray

CRS = "EPSG:32631"
LEFT, TOP = 600_000.0, 5_700_000.0
S2_RESOLUTION = {
    **dict.fromkeys(("B02", "B03", "B04", "B08"), 10),
    **dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 20),
    **dict.fromkeys(("B01", "B09", "B10"), 60),
}
_BAND_IDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")


def transform(resolution: float = 10.0) -> Affine:
    """North-up, upper left at (LEFT, TOP)."""
    return Affine(resolution, 0, LEFT, 0, -resolution, TOP)


def scene(bands: int = 6, height: int = 64, width: int = 48, seed: int = 0) -> NDArray[np.float32]:
    """Reflectance (c, h, w) between 0.02 and 0.6: a smooth ground and bright blobs; the same for the same seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    ground = 0.05 + 0.1 * (1 + np.sin(x / 7 + rng.uniform(0, 6))[None] * np.cos(y / 9)[None]) / 2
    out = ground * np.linspace(0.6, 1.6, bands)[:, None, None]
    for _ in range(3):
        cy, cx, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(3, 9)
        out = out + 0.35 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * radius**2))[None]
    return np.clip(out, 0.02, 0.6).astype(np.float32)


def write_tif(
    path: Path,
    array: NDArray[np.generic],
    *,
    names: Sequence[str] = (),
    crs: str | None = CRS,
    place: Affine | None = None,
    nodata: float | None = None,
    scale: float | None = None,
    offset: float | None = None,
    **options: object,
) -> Path:
    """A GeoTIFF of array (c, h, w)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = array.shape
    where = {} if crs is None else {"crs": crs, "transform": place or transform()}
    if crs is None and place is not None:
        where = {"transform": place}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=count,
        height=height,
        width=width,
        dtype=array.dtype,
        nodata=nodata,
        **where,
        **options,
    ) as sink:
        sink.write(array)
        for i, name in enumerate(names, start=1):
            sink.set_band_description(i, name)
        if scale is not None:
            sink.scales = [scale] * count
        if offset is not None:
            sink.offsets = [offset] * count
    return path


def write_jp2(path: Path, array: NDArray[np.uint16], resolution: float) -> Path:
    """A lossless JPEG 2000 of one band (h, w)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        count=1,
        height=array.shape[0],
        width=array.shape[1],
        dtype="uint16",
        crs=CRS,
        transform=transform(resolution),
        QUALITY="100",
        REVERSIBLE="YES",
    ) as sink:
        sink.write(array, 1)
    return path


def safe_numbers(band: str, side: int = 120) -> NDArray[np.uint16]:
    """Stored numbers of a band (h, w) at its own resolution: 10 m grid of ``side`` px; the first row is fill."""
    size = side * 10 // S2_RESOLUTION[band]
    values = 1500 + 10 * _BAND_IDS.index(band) + np.arange(size * size, dtype=np.uint16).reshape(size, size) % 700
    values[0] = 0
    return values.astype(np.uint16)


def write_safe(
    folder: Path,
    *,
    level: str = "1C",
    baseline: str = "05.09",
    side: int = 120,
    declare_offset: bool = True,
    bands: Sequence[str] = _BAND_IDS,
) -> Path:
    """A Sentinel-2 product in its real layout: folders, names, metadata; bands of 10, 20 and 60 m."""
    tile, start = "T31UFS", "20230714T105629"
    product = folder / f"S2B_MSIL{level}_{start}_N{baseline.replace('.', '')}_R094_{tile}_20230714T130000.SAFE"
    granule = f"GRANULE/L{level}_{tile}_A033187_{start}/IMG_DATA"
    names = []
    for band in bands:
        if level == "2A" and band == "B10":
            continue
        resolution = S2_RESOLUTION[band]
        name = f"{granule}/{tile}_{start}_{band}"
        if level == "2A":
            name = f"{granule}/R{resolution}m/{tile}_{start}_{band}_{resolution}m"
        write_jp2(product / f"{name}.jp2", safe_numbers(band, side), resolution)
        names.append(name)
    offsets = "".join(f'<{{tag}} band_id="{i}">-1000</{{tag}}>' for i in range(13))
    if level == "1C":
        quantification = '<QUANTIFICATION_VALUE unit="none">10000</QUANTIFICATION_VALUE>'
        listed = f"<Radiometric_Offset_List>{offsets.format(tag='RADIO_ADD_OFFSET')}</Radiometric_Offset_List>"
    else:
        quantification = (
            '<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>'
            "</QUANTIFICATION_VALUES_LIST>"
        )
        listed = f"<BOA_ADD_OFFSET_VALUES_LIST>{offsets.format(tag='BOA_ADD_OFFSET')}</BOA_ADD_OFFSET_VALUES_LIST>"
    kind = f"Level-{level}_User_Product"
    images = "".join(f"<IMAGE_FILE>{n}</IMAGE_FILE>" for n in names)
    (product / f"MTD_MSIL{level}.xml").write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<n1:{kind} xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/x.xsd">'
        "<n1:General_Info><Product_Info><PRODUCT_START_TIME>2023-07-14T10:56:29.024Z</PRODUCT_START_TIME>"
        f"<PRODUCT_URI>{product.name}</PRODUCT_URI><PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>"
        f"<PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>"
        '<Datatake datatakeIdentifier="GS2B_20230714T105629_033187_N05.09">'
        "<DATATAKE_SENSING_START>2023-07-14T10:56:29.024Z</DATATAKE_SENSING_START></Datatake>"
        f"<Product_Organisation><Granule_List><Granule>{images}</Granule></Granule_List></Product_Organisation>"
        f"</Product_Info><Product_Image_Characteristics>{quantification}{listed if declare_offset else ''}"
        "<Special_Values><SPECIAL_VALUE_TEXT>NODATA</SPECIAL_VALUE_TEXT><SPECIAL_VALUE_INDEX>0</SPECIAL_VALUE_INDEX>"
        f"</Special_Values></Product_Image_Characteristics></n1:General_Info></n1:{kind}>",
        encoding="utf-8",
    )
    return product


def landsat_numbers(band: int, height: int = 40, width: int = 30) -> NDArray[np.uint16]:
    """Stored numbers (h, w) of a band; the first column is fill."""
    values = (8000 + 100 * band + np.arange(height * width).reshape(height, width)).astype(np.uint16)
    values[:, 0] = 0
    return values


def write_landsat(
    folder: Path, *, mission: int = 8, level: str = "L1TP", mtl: str | None = "txt", sun: float = 30.0
) -> Path:
    """A Landsat Collection 2 folder with its real names: one file per band, B8 at 15 m, and the MTL as text or JSON."""
    letter = {5: "T", 7: "E", 8: "C", 9: "C"}[mission]
    name = f"L{letter}0{mission}_{level}_198024_20210705_20210712_02_T1"
    root = folder / name
    numbers = {5: (1, 2, 3, 4, 5, 6, 7), 7: (1, 2, 3, 4, 5, 7, 8)}.get(mission, tuple(range(1, 12)))
    prefix = ""
    if level.startswith("L2"):
        numbers, prefix = tuple(n for n in numbers if n not in (8, 9, 10, 11)), "SR_"
    for number in numbers:
        panchromatic = number == 8 and mission != 5
        values = landsat_numbers(number, *(80, 60) if panchromatic else (40, 30))
        write_tif(root / f"{name}_{prefix}B{number}.TIF", values[None], place=transform(15 if panchromatic else 30))
    if mtl is None:
        return root
    reflective = [n for n in numbers if n not in (10, 11) and not (n == 6 and mission in (5, 7))]
    level1: dict[str, object] = {}
    level2: dict[str, object] = {}
    for n in reflective:
        level1 |= {f"REFLECTANCE_MULT_BAND_{n}": "2.0000E-05", f"REFLECTANCE_ADD_BAND_{n}": "-0.100000"}
        level2 |= {f"REFLECTANCE_MULT_BAND_{n}": "2.75e-05", f"REFLECTANCE_ADD_BAND_{n}": "-0.2"}
    groups: dict[str, Mapping[str, object]] = {
        "IMAGE_ATTRIBUTES": {
            "DATE_ACQUIRED": "2021-07-05",
            "SCENE_CENTER_TIME": "10:33:40.1234560Z",
            "SUN_ELEVATION": f"{sun:.8f}",
        },
        **({"LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": level2} if prefix else {}),
        "LEVEL1_RADIOMETRIC_RESCALING": level1,
    }
    if mtl == "json":
        (root / f"{name}_MTL.json").write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}), encoding="utf-8")
    else:
        lines = ["GROUP = LANDSAT_METADATA_FILE"]
        for group, keys in groups.items():
            quoted = [f'    {k} = "{v}"' if k.startswith("SCENE") else f"    {k} = {v}" for k, v in keys.items()]
            lines += [f"  GROUP = {group}", *quoted, f"  END_GROUP = {group}"]
        (root / f"{name}_MTL.txt").write_text("\n".join([*lines, "END_GROUP = LANDSAT_METADATA_FILE", "END"]))
    return root


def write_stac(
    folder: Path,
    dates: Sequence[str] = ("2022-06-01",),
    *,
    names: Sequence[str] = ("blue", "nir"),
    href: str | None = None,
) -> Path:
    """A STAC collection of items with one asset per band, uint16 with scale 1e-4 and offset −0.1."""
    links = [{"rel": "root", "href": "./collection.json", "type": "application/json"}]
    for number, date in enumerate(dates):
        assets = {}
        for band, name in enumerate(names):
            values = np.full((1, 20, 16), 3000 + 1000 * band + 100 * number, np.uint16)
            values[0, 0, 0] = 0
            write_tif(folder / date / f"{name}.tif", values)
            assets[name] = {
                "href": href or f"./{name}.tif",
                "type": "image/tiff; application=geotiff",
                "roles": ["data"],
                "eo:bands": [{"name": f"X{band}", "common_name": name}],
                "raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0}],
            }
        item = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [],
            "id": f"item-{date}",
            "geometry": None,
            "properties": {"datetime": f"{date}T10:00:00Z"},
            "assets": assets,
            "links": [],
        }
        (folder / date / "item.json").write_text(json.dumps(item), encoding="utf-8")
        links.append({"rel": "item", "href": f"./{date}/item.json", "type": "application/geo+json"})
    collection = {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": "scenes",
        "description": "synthetic",
        "license": "proprietary",
        "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
        "links": links,
    }
    path = folder / "collection.json"
    path.write_text(json.dumps(collection), encoding="utf-8")
    return path


def write_store(path: Path, zarr_format: int | None = 3, *, times: int = 1, packed: bool = True) -> xr.Dataset:
    """A Zarr store (v2 or v3), or NetCDF where ``zarr_format`` is None: time, band, y, x, packed with a fill value."""
    values = np.stack([scene(3, 24, 20, seed) for seed in range(times)])
    values[:, :, 0, 0] = np.nan
    grid = transform()
    dataset = xr.Dataset(
        {"image": (("time", "band", "y", "x"), values, {"grid_mapping": "spatial_ref"})},
        coords={
            "time": np.array([f"2022-06-0{i + 1}" for i in range(times)], "datetime64[ns]"),
            "band": ["blue", "green", "nir"],
            "y": grid.f + grid.e * (np.arange(24) + 0.5),
            "x": grid.c + grid.a * (np.arange(20) + 0.5),
            "spatial_ref": ((), 0, {"crs_wkt": rasterio.crs.CRS.from_string(CRS).to_wkt()}),
        },
    )
    encoding = (
        {"image": {"dtype": "int16", "scale_factor": 1e-4, "add_offset": 0.0, "_FillValue": -9999}} if packed else {}
    )
    if zarr_format is None:
        dataset.to_netcdf(path, encoding=encoding)
    else:
        dataset.to_zarr(path, zarr_format=zarr_format, encoding=encoding, consolidated=zarr_format == 2)
    return dataset
