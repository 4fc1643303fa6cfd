"""Bytes to arrays and back: files, products and stores, read and written by window; no torch.

In: paths. Out: raw pixels (c, h, w) with a ``SourceInfo`` that says how they become physical values, and files that
exist under their name only when they are whole. ``base`` holds the protocols ``Source`` and ``Sink``; ``gdal`` opens
rasters safely, ``raster``, ``arrays``, ``stack`` and ``zarr_read`` are sources; ``grib`` opens messages as datasets;
``safe``, ``landsat`` and ``stac`` read what products say about themselves; ``vectors`` draws polygons.
"""
