"""What axes mean: bands, sensors, units, grids, dates; and cubes that keep to it; no torch.

In: a path, or a Source. Out: image cubes (time, band, y, x), reflectance 0–1 as float32 with NaN where missing, bands
by STAC common name, CRS in ``spatial_ref``; weather cubes (time, number, prediction_timedelta, level, latitude,
longitude), variables by ERA5's long names in SI units; or labelled fields. ``open.open_cube`` gives cubes,
``weather.open_weather`` those of weather by variable, level and period, ``scene.open_scene`` one scene to be read by
window, ``series.open_series`` all dates of one place on one grid with what of them is clear,
``inspect.inspect`` says what a file is.
"""
