"""Opening a raster with GDAL safely: a literal list of drivers, checked VRTs, and refusals before any allocation.

In: a path, a URL or a GDAL subdataset name. Out: an open rasterio dataset, or a GeoadaptError that says what is wrong.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from rasterio._path import _parse_path
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geoadapt.errors import GeoadaptError
from geoadapt.io.reason import reason

__all__ = ["DRIVERS", "local_file", "open_dataset", "quiet"]

# File formats only: drivers that fetch from a network (WMS, WCS, HTTP, STACIT, EEDAI…) or that read what another
# file points to (GTI, MRF, TIL, DERIVED) are left out; VRT is let in after its own check.
DRIVERS: tuple[str, ...] = (
    *(
        "GTiff",
        "COG",
        "VRT",
        "JP2OpenJPEG",
        "HDF5",
        "HDF5Image",
        "netCDF",
        "GRIB",
        "Zarr",
        "PNG",
        "JPEG",
        "WEBP",
        "GIF",
    ),
    *(
        "BIGGIF",
        "BMP",
        "ENVI",
        "EHdr",
        "ERS",
        "HFA",
        "AAIGrid",
        "AIG",
        "GRASSASCIIGrid",
        "GSAG",
        "GSBG",
        "GS7BG",
        "XYZ",
    ),
    *(
        "NITF",
        "PCIDSK",
        "PCRaster",
        "RST",
        "RMF",
        "SAGA",
        "ILWIS",
        "ISIS3",
        "PDS",
        "PDS4",
        "VICAR",
        "SRTMHGT",
        "USGSDEM",
    ),
    *(
        "DTED",
        "BT",
        "GTX",
        "NTv2",
        "Terragen",
        "MFF",
        "MFF2",
        "LAN",
        "ELAS",
        "DIMAP",
        "FAST",
        "CEOS",
        "SAR_CEOS",
        "RS2",
    ),
    *("ISG", "LOSLAS", "ISIS2", "SDTS", "OZI"),
    *("TSX", "COSAR", "JAXAPALSAR", "ESAT", "L1B", "MSGN", "SNODAS", "NOAA_B", "BAG", "S102", "S104", "S111", "GPKG"),
    *("MBTiles", "Rasterlite", "RRASTER", "R", "ISCE", "ROI_PAC", "GFF", "AirSAR", "PNM", "PAux", "SGI", "XPM", "TGA"),
    *(
        "SIGDEM",
        "SNAP_TIFF",
        "GXF",
        "HF2",
        "IRIS",
        "KRO",
        "LCP",
        "NDF",
        "NGSGEOID",
        "NWT_GRD",
        "NWT_GRC",
        "ZMap",
        "ACE2",
    ),
    *("SENTINEL2", "SAFE", "BYN", "BLX", "BSB", "CALS", "CTG", "CTable2", "DOQ1", "DOQ2", "FIT", "GenBin", "JDEM"),
    *("Leveller", "NSIDCbin", "PRF", "RIK", "ADRG", "SRP", "ECRGTOC", "RPFTOC", "EIR", "DIPEx", "COASP", "GSC", "MAP"),
)

_SUSPICIOUS_BYTES = 2**30
_SUSPICIOUS_RATIO = 1_000_000
_ELSEWHERE = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|/vsi)")
_SUBDATASET = re.compile(r'^(?:HDF5|NETCDF|SENTINEL2_L\w+|GTIFF_DIR|ZARR|GPKG):"?')


@contextmanager
def quiet() -> Iterator[None]:
    """Keep rasterio from warning about what the caller reports itself: missing georeference, GDAL's log lines."""
    logger = logging.getLogger("rasterio._env")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            yield
    finally:
        logger.setLevel(level)


def local_file(path: str) -> Path | None:
    """The file on this machine that ``path`` names, None for a URL, a /vsi path or a subdataset."""
    if _ELSEWHERE.match(path) or (_SUBDATASET.match(path) and not Path(path).exists()):
        return None
    return Path(path)


def open_dataset(path: str | Path, *, allow_external: bool = False) -> DatasetReader:
    """An open dataset; the caller closes it.

    Raises GeoadaptError for a missing, empty or unreadable file, for a VRT that points outside its own folder (unless
    ``allow_external``), and for a file that declares far more pixels than it could hold.
    """
    name = str(path)
    if name.lstrip().startswith("<") or name.startswith(("vrt://", "/vsimem", "/vsistdin")):
        raise GeoadaptError(name[:80], "is no file but a GDAL connection string", "give the path of a raster file")
    if name.encode("utf-8", "replace").decode() != name:
        raise GeoadaptError(name, "has a name that is no UTF-8, which GDAL cannot open", "rename it")
    file = local_file(name)
    if file is not None:
        _check_file(file, allow_external)
    try:
        with quiet(), rasterio.Env():
            dataset = DatasetReader(_parse_path(name), driver=list(DRIVERS))
    except (RasterioError, OSError, ValueError) as error:
        raise GeoadaptError(
            name, f"no raster that can be read: {_reason(error, name)}", "is it complete? copy it again"
        ) from error
    try:
        _check_size(dataset, name, file)
    except GeoadaptError:
        dataset.close()
        raise
    return dataset


def _check_file(file: Path, allow_external: bool) -> None:
    if file.is_dir():
        return
    if not file.exists():
        raise GeoadaptError(file, "does not exist", "check the path")
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise GeoadaptError(file, f"cannot be read: {error.strerror}", "check its permissions") from error
    if size == 0:
        raise GeoadaptError(file, "is empty (0 bytes)", "copy or download it again")
    if b"<VRTDataset" in head and not allow_external:
        _check_vrt(file.resolve(), file.resolve().parent, depth=0)


def _check_vrt(file: Path, folder: Path, depth: int) -> None:
    """Refuse a VRT that reads anything outside ``folder``, or that brings code."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if re.search("PixelFunctionCode|PixelFunctionLanguage", text, re.I):
        raise GeoadaptError(file, "this VRT brings its own code", "convert it to a GeoTIFF where you trust it")
    # GDAL reads the names of elements without regard to case.
    for match in re.finditer(r"<(?:SourceFilename|SourceDataset)\b([^>]*)>([^<]*)<", text, re.I):
        target = match.group(2).strip()
        beside = re.search(r"relativeToVRT\s*=\s*[\"']1", match.group(1), re.I)
        inside = ((file.parent if beside else Path.cwd()) / target).resolve()
        if _ELSEWHERE.match(target) or not inside.is_relative_to(folder):
            raise GeoadaptError(
                file,
                f"this VRT points outside its own folder, to '{target}'",
                "allow it with allow_external=True if you trust it",
            )
        if not inside.is_file():
            raise GeoadaptError(file, f"this VRT refers to '{target}', which does not exist", "put it beside the VRT")
        with inside.open("rb") as stream:
            nested = b"<VRTDataset" in stream.read(4096)
        if nested:
            if depth >= 8:
                raise GeoadaptError(file, "VRTs are nested more than 8 deep", "convert it to a GeoTIFF")
            _check_vrt(inside, folder, depth + 1)


def _check_size(dataset: DatasetReader, name: str, file: Path | None) -> None:
    """Refuse a file whose declared pixels could not possibly be in it."""
    if file is None or not file.is_file() or dataset.driver == "VRT" or dataset.count == 0:
        return
    declared = dataset.width * dataset.height * sum(_bytes(d) for d in dataset.dtypes)
    held = file.stat().st_size
    if declared > _SUSPICIOUS_BYTES and declared > held * _SUSPICIOUS_RATIO:
        raise GeoadaptError(
            name,
            f"declares {dataset.height} × {dataset.width} px × {dataset.count} bands ({declared / 2**30:,.0f} GiB) "
            f"in a file of {held:,} bytes",
            "it is damaged or made to exhaust memory",
        )


def _bytes(dtype: str) -> int:
    return 4 if dtype == "complex_int16" else np.dtype(dtype).itemsize


def _reason(error: BaseException, name: str) -> str:
    """GDAL's own sentence, in one line and without the path that the message starts with already."""
    text = reason(error.__cause__ or error)
    return text.replace(f"'{name}' ", "").replace(f"{name}: ", "").strip() or type(error).__name__
