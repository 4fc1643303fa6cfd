"""The table of weather variables: facts alone.

Aliases are those of ERA5 and GRIB (short and NetCDF names), CMIP, NCEP, WFDE5 and ISIMIP, CAM and MERRA-2. MERRA-2 and
CMIP count some fluxes upwards that ERA5 counts downwards: those have names of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["VARIABLES", "Variable"]

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Variable:
    """A quantity of the atmosphere or of its lower boundary, as geoadapt holds it."""

    name: str
    units: str
    """SI."""
    low: float
    """Plausible from here [units]; a field outside of the range is in other units, or damaged."""
    high: float
    kind: str
    """``instant``, ``accumulation`` (since the step before), ``flux`` (mean since the step before), ``static``."""
    on_levels: bool
    peak: Range
    """Where the largest magnitude of a field lies [units]: what tells units that nothing declares."""
    aliases: tuple[str, ...]
    standard_names: tuple[str, ...]
    twins: tuple[str, ...]
    """What the same alias means where it has other units (an amount, not a rate), or other dimensions (a level)."""


def _variable(
    kind: str,
    name: str,
    units: str,
    plausible: Range,
    aliases: str,
    standard_names: str = "",
    twins: str = "",
    peak: Range | None = None,
) -> Variable:
    """A row; ``kind`` is ``level`` for an instantaneous variable on levels. Names are separated by blanks."""
    low, high = plausible
    largest = max(abs(low), abs(high))
    return Variable(
        name,
        units,
        low,
        high,
        "instant" if kind == "level" else kind,
        kind == "level",
        peak or (largest / 100, largest),
        tuple(aliases.split()),
        tuple(standard_names.split()),
        tuple(twins.split()),
    )


_TEMPERATURE: Range = (150.0, 350.0)
_WIND: Range = (-150.0, 150.0)
_SURFACE_WIND: Range = (-100.0, 100.0)
_FLUX: Range = (-1500.0, 1500.0)
_SHORTWAVE: Range = (-20.0, 1500.0)
_LONGWAVE: Range = (0.0, 800.0)
_JOULES: Range = (-150000000.0, 150000000.0)
_CLOUD_WATER: Range = (-0.0001, 0.02)
_SHARE: Range = (-0.05, 1.05)
_WIND_PEAK: Range = (2.0, 100.0)

# fmt: off
_ROWS: tuple[Variable, ...] = (
    # on levels
    _variable("level", "geopotential", "m2 s-2", (-10000.0, 1000000.0),
        "z Z H Z3 zg hgt HGT gh geopotential_height phi", "geopotential geopotential_height",
        twins="geopotential_at_surface", peak=(8000.0, 1000000.0)),
    _variable("level", "temperature", "K", _TEMPERATURE, "t T ta air air_temperature tk TK", "air_temperature",
        twins="2m_temperature", peak=_TEMPERATURE),
    _variable("level", "u_component_of_wind", "m s-1", (-200.0, 200.0), "u U ua uwnd", "eastward_wind",
        twins="10m_u_component_of_wind", peak=(2.0, 200.0)),
    _variable("level", "v_component_of_wind", "m s-1", (-200.0, 200.0), "v V va vwnd", "northward_wind",
        twins="10m_v_component_of_wind", peak=(2.0, 200.0)),
    _variable("level", "specific_humidity", "kg kg-1", (-0.005, 0.06), "q Q QV hus shum SHUM", "specific_humidity",
        twins="2m_specific_humidity", peak=(0.001, 0.06)),
    _variable("level", "relative_humidity", "1", (-0.5, 2.0), "r R hur rh RH rhum RELHUM rhumidity",
        "relative_humidity", twins="2m_relative_humidity", peak=(0.3, 2.0)),
    _variable("level", "vertical_velocity", "Pa s-1", (-50.0, 50.0), "w omega OMEGA wap",
        "lagrangian_tendency_of_air_pressure"),
    _variable("level", "vorticity", "s-1", (-0.01, 0.01), "vo VO", "atmosphere_relative_vorticity"),
    _variable("level", "divergence", "s-1", (-0.01, 0.01), "d DIV", "divergence_of_wind"),
    _variable("level", "potential_vorticity", "K m2 kg-1 s-1", (-0.01, 0.01), "pv PV", "ertel_potential_vorticity"),
    _variable("level", "ozone_mass_mixing_ratio", "kg kg-1", (-1e-06, 0.0001), "o3 O3",
        "mass_fraction_of_ozone_in_air"),
    _variable("level", "specific_cloud_liquid_water_content", "kg kg-1", _CLOUD_WATER, "clwc QL clw",
        "mass_fraction_of_cloud_liquid_water_in_air"),
    _variable("level", "specific_cloud_ice_water_content", "kg kg-1", _CLOUD_WATER, "ciwc QI cli",
        "mass_fraction_of_cloud_ice_in_air"),
    _variable("level", "specific_rain_water_content", "kg kg-1", _CLOUD_WATER, "crwc QR"),
    _variable("level", "specific_snow_water_content", "kg kg-1", _CLOUD_WATER, "cswc QS"),
    _variable("level", "fraction_of_cloud_cover", "1", _SHARE, "cc CLOUD cl",
        "cloud_area_fraction_in_atmosphere_layer"),
    _variable("level", "pressure", "Pa", (0.0, 120000.0), "PL pl_mid pfull", "air_pressure",
        peak=(10000.0, 120000.0)),
    _variable("level", "pressure_thickness", "Pa", (0.0, 20000.0), "DELP delp"),
    # at or near the surface
    _variable("instant", "2m_temperature", "K", _TEMPERATURE,
        "t2m 2t VAR_2T T2M tas Tair TREFHT T2 t2 tmp2m t_2m air.2m air2m", "air_temperature", twins="temperature",
        peak=_TEMPERATURE),
    _variable("instant", "2m_dewpoint_temperature", "K", _TEMPERATURE, "d2m 2d VAR_2D T2MDEW tdps TD2 dewpoint",
        "dew_point_temperature", peak=_TEMPERATURE),
    _variable("instant", "2m_specific_humidity", "kg kg-1", (-0.005, 0.06), "sh2 2sh QV2M huss Qair q2m Q2M",
        "specific_humidity", twins="specific_humidity", peak=(0.001, 0.06)),
    _variable("instant", "2m_relative_humidity", "1", (-0.05, 1.5), "r2 2r hurs RH2M rh2m", "relative_humidity",
        twins="relative_humidity", peak=(0.3, 1.5)),
    _variable("instant", "maximum_2m_temperature_since_previous_post_processing", "K", _TEMPERATURE,
        "mx2t tasmax tmax T2MMAX", peak=_TEMPERATURE),
    _variable("instant", "minimum_2m_temperature_since_previous_post_processing", "K", _TEMPERATURE,
        "mn2t tasmin tmin T2MMIN", peak=_TEMPERATURE),
    _variable("instant", "skin_temperature", "K", _TEMPERATURE, "skt SKT ts TS tsk surface_temperature",
        "surface_temperature", peak=_TEMPERATURE),
    _variable("instant", "sea_surface_temperature", "K", (265.0, 315.0), "sst SST SSTK tos",
        "sea_surface_temperature", peak=(265.0, 315.0)),
    _variable("instant", "mean_sea_level_pressure", "Pa", (85000.0, 112000.0),
        "msl MSL slp SLP psl PSL prmsl PRMSL mslp mslet", "air_pressure_at_sea_level air_pressure_at_mean_sea_level",
        peak=(95000.0, 112000.0)),
    _variable("instant", "surface_pressure", "Pa", (40000.0, 112000.0), "sp SP ps PS PSurf psurf pres_sfc PSFC",
        "surface_air_pressure", peak=(50000.0, 112000.0)),
    _variable("instant", "10m_u_component_of_wind", "m s-1", _SURFACE_WIND,
        "u10 10u VAR_10U U10M uas u10m U10 ugrd10m", "eastward_wind", twins="u_component_of_wind", peak=_WIND_PEAK),
    _variable("instant", "10m_v_component_of_wind", "m s-1", _SURFACE_WIND,
        "v10 10v VAR_10V V10M vas v10m V10 vgrd10m", "northward_wind", twins="v_component_of_wind", peak=_WIND_PEAK),
    _variable("instant", "10m_wind_speed", "m s-1", (-1e-06, 120.0), "si10 10si ws10 sfcWind Wind wind_speed",
        "wind_speed", peak=_WIND_PEAK),
    _variable("instant", "100m_u_component_of_wind", "m s-1", _WIND, "u100 100u VAR_100U", peak=_WIND_PEAK),
    _variable("instant", "100m_v_component_of_wind", "m s-1", _WIND, "v100 100v VAR_100V", peak=_WIND_PEAK),
    _variable("instant", "total_column_water_vapour", "kg m-2", (-5.0, 120.0), "tcwv TCWV TQV prw PREH2O pr_wtr",
        "atmosphere_mass_content_of_water_vapor", peak=(5.0, 120.0)),
    _variable("instant", "total_column_water", "kg m-2", (-5.0, 150.0), "tcw TCW", peak=(5.0, 150.0)),
    _variable("instant", "total_column_cloud_liquid_water", "kg m-2", (-0.1, 30.0), "tclw TQL",
        "atmosphere_mass_content_of_cloud_liquid_water"),
    _variable("instant", "total_column_cloud_ice_water", "kg m-2", (-0.1, 30.0), "tciw TQI clivi",
        "atmosphere_mass_content_of_cloud_ice"),
    _variable("instant", "total_cloud_cover", "1", _SHARE, "tcc TCC clt CLDTOT", "cloud_area_fraction",
        peak=(0.3, 1.05)),
    _variable("instant", "low_cloud_cover", "1", _SHARE, "lcc CLDLOW", peak=(0.3, 1.05)),
    _variable("instant", "medium_cloud_cover", "1", _SHARE, "mcc CLDMID", peak=(0.3, 1.05)),
    _variable("instant", "high_cloud_cover", "1", _SHARE, "hcc CLDHGH", peak=(0.3, 1.05)),
    _variable("instant", "boundary_layer_height", "m", (0.0, 15000.0), "blh PBLH",
        "atmosphere_boundary_layer_thickness"),
    _variable("instant", "convective_available_potential_energy", "J kg-1", (-1.0, 15000.0), "cape CAPE",
        "atmosphere_convective_available_potential_energy"),
    _variable("instant", "sea_ice_cover", "1", _SHARE, "siconc ci FRACI FRSEAICE icec", "sea_ice_area_fraction"),
    _variable("instant", "snow_depth", "m", (-0.01, 50.0), "sd swe", "lwe_thickness_of_surface_snow_amount"),
    _variable("instant", "volumetric_soil_water_layer_1", "m3 m-3", _SHARE, "swvl1"),
    _variable("instant", "volumetric_soil_water_layer_2", "m3 m-3", _SHARE, "swvl2"),
    _variable("instant", "soil_temperature_level_1", "K", _TEMPERATURE, "stl1", peak=_TEMPERATURE),
    _variable("instant", "soil_temperature_level_2", "K", _TEMPERATURE, "stl2", peak=_TEMPERATURE),
    _variable("instant", "surface_roughness", "m", (0.0, 20.0), "Z0M sr fsr", "surface_roughness_length"),
    _variable("instant", "leaf_area_index", "1", (0.0, 20.0), "LAI lai", "leaf_area_index"),
    _variable("instant", "root_zone_soil_wetness", "1", _SHARE, "GWETROOT"),
    # means of a rate since the step before
    _variable("flux", "mean_total_precipitation_rate", "kg m-2 s-1", (-0.0001, 0.15),
        "mtpr avg_tprate tprate pr prate PRECTOT PRECTOTCORR Rainf", "precipitation_flux",
        twins="total_precipitation", peak=(1e-05, 0.15)),
    _variable("flux", "mean_snowfall_rate", "kg m-2 s-1", (-0.0001, 0.05), "msr prsn Snowf PRECSNO", "snowfall_flux",
        twins="snowfall"),
    _variable("flux", "mean_surface_downward_short_wave_radiation_flux", "W m-2", _SHORTWAVE,
        "msdwswrf avg_sdswrf rsds SWdown SWGDN dswrf", "surface_downwelling_shortwave_flux_in_air",
        twins="surface_solar_radiation_downwards", peak=(50.0, 1500.0)),
    _variable("flux", "mean_surface_downward_long_wave_radiation_flux", "W m-2", _LONGWAVE,
        "msdwlwrf avg_sdlwrf rlds LWdown dlwrf", "surface_downwelling_longwave_flux_in_air",
        twins="surface_thermal_radiation_downwards", peak=(100.0, 800.0)),
    _variable("flux", "mean_surface_net_short_wave_radiation_flux", "W m-2", _SHORTWAVE,
        "msnswrf avg_snswrf SWGNT rss", "surface_net_downward_shortwave_flux", twins="surface_net_solar_radiation",
        peak=(50.0, 1500.0)),
    _variable("flux", "mean_surface_net_long_wave_radiation_flux", "W m-2", (-500.0, 300.0),
        "msnlwrf avg_snlwrf LWGNT rls", "surface_net_downward_longwave_flux", twins="surface_net_thermal_radiation"),
    _variable("flux", "mean_top_net_short_wave_radiation_flux", "W m-2", _SHORTWAVE,
        "mtnswrf avg_tnswrf SWTNT FSNTOA", "toa_net_downward_shortwave_flux", twins="top_net_solar_radiation",
        peak=(50.0, 1500.0)),
    _variable("flux", "mean_top_net_long_wave_radiation_flux", "W m-2", (-500.0, 50.0), "mtnlwrf avg_tnlwrf",
        twins="top_net_thermal_radiation"),
    _variable("flux", "toa_outgoing_longwave_flux", "W m-2", (0.0, 500.0), "LWTUP rlut FLUT olr",
        "toa_outgoing_longwave_flux", peak=(100.0, 500.0)),
    _variable("flux", "surface_longwave_flux_absorbed", "W m-2", _LONGWAVE, "LWGAB", peak=(100.0, 800.0)),
    _variable("flux", "surface_longwave_flux_emitted", "W m-2", _LONGWAVE, "LWGEM",
        "surface_upwelling_longwave_flux_in_air", peak=(100.0, 800.0)),
    _variable("flux", "mean_surface_latent_heat_flux", "W m-2", _FLUX, "mslhf avg_slhtf",
        "surface_downward_latent_heat_flux", twins="surface_latent_heat_flux"),
    _variable("flux", "mean_surface_sensible_heat_flux", "W m-2", _FLUX, "msshf avg_ishf",
        "surface_downward_sensible_heat_flux", twins="surface_sensible_heat_flux"),
    _variable("flux", "surface_upward_latent_heat_flux", "W m-2", _FLUX, "EFLUX hfls LHFLX",
        "surface_upward_latent_heat_flux"),
    _variable("flux", "surface_upward_sensible_heat_flux", "W m-2", _FLUX, "HFLUX hfss SHFLX",
        "surface_upward_sensible_heat_flux"),
    # amounts since the step before
    _variable("accumulation", "total_precipitation", "m", (-0.001, 2.0), "tp TP apcp",
        "precipitation_amount lwe_thickness_of_precipitation_amount", twins="mean_total_precipitation_rate",
        peak=(0.0001, 0.1)),
    _variable("accumulation", "total_precipitation_6hr", "m", (-0.001, 1.0), "tp6h tp06", peak=(0.0001, 0.1)),
    _variable("accumulation", "total_precipitation_12hr", "m", (-0.001, 1.5), "tp12h tp12", peak=(0.0001, 0.1)),
    _variable("accumulation", "total_precipitation_24hr", "m", (-0.001, 2.0), "tp24h tp24", peak=(0.0001, 0.1)),
    _variable("accumulation", "large_scale_precipitation", "m", (-0.001, 2.0), "lsp", peak=(0.0001, 0.1)),
    _variable("accumulation", "convective_precipitation", "m", (-0.001, 2.0), "cp", peak=(0.0001, 0.1)),
    _variable("accumulation", "snowfall", "m", (-0.001, 1.0), "sf", "snowfall_amount", twins="mean_snowfall_rate"),
    _variable("accumulation", "evaporation", "m", (-0.5, 0.5), "e"),
    _variable("accumulation", "runoff", "m", (-0.001, 2.0), "ro", "runoff_amount"),
    _variable("accumulation", "surface_solar_radiation_downwards", "J m-2", _JOULES, "ssrd",
        twins="mean_surface_downward_short_wave_radiation_flux"),
    _variable("accumulation", "surface_thermal_radiation_downwards", "J m-2", _JOULES, "strd",
        twins="mean_surface_downward_long_wave_radiation_flux"),
    _variable("accumulation", "surface_net_solar_radiation", "J m-2", _JOULES, "ssr",
        twins="mean_surface_net_short_wave_radiation_flux"),
    _variable("accumulation", "surface_net_thermal_radiation", "J m-2", _JOULES, "str",
        twins="mean_surface_net_long_wave_radiation_flux"),
    _variable("accumulation", "top_net_solar_radiation", "J m-2", _JOULES, "tsr",
        twins="mean_top_net_short_wave_radiation_flux"),
    _variable("accumulation", "top_net_thermal_radiation", "J m-2", _JOULES, "ttr",
        twins="mean_top_net_long_wave_radiation_flux"),
    _variable("accumulation", "toa_incident_solar_radiation", "J m-2", _JOULES, "tisr"),
    _variable("accumulation", "surface_latent_heat_flux", "J m-2", _JOULES, "slhf",
        twins="mean_surface_latent_heat_flux"),
    _variable("accumulation", "surface_sensible_heat_flux", "J m-2", _JOULES, "sshf",
        twins="mean_surface_sensible_heat_flux"),
    # constant in time
    _variable("static", "geopotential_at_surface", "m2 s-2", (-10000.0, 100000.0),
        "PHIS orog oro orography z_sfc zs topo", "surface_geopotential surface_altitude", twins="geopotential",
        peak=(500.0, 100000.0)),
    _variable("static", "land_sea_mask", "1", _SHARE, "lsm LSM sftlf landmask", "land_binary_mask land_area_fraction",
        peak=(0.5, 1.05)),
    _variable("static", "land_fraction", "1", _SHARE, "FRLAND", peak=(0.5, 1.05)),
    _variable("static", "ocean_fraction", "1", _SHARE, "FROCEAN", "sea_area_fraction", peak=(0.5, 1.05)),
    _variable("static", "standard_deviation_of_orography", "m", (0.0, 3000.0), "sdor"),
    _variable("static", "soil_type", "1", (0.0, 30.0), "slt"),
    _variable("static", "high_vegetation_cover", "1", _SHARE, "cvh"),
    _variable("static", "low_vegetation_cover", "1", _SHARE, "cvl"),
    _variable("static", "lake_cover", "1", _SHARE, "cl_lake FRLAKE"),
)
# fmt: on

VARIABLES: dict[str, Variable] = {row.name: row for row in _ROWS}
"""Long name → variable."""
