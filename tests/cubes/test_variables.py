"""Names of variables: aliases of the archives, levels in names, channels."""

from __future__ import annotations

import pytest

from geoadapt.cubes.units import parse_units
from geoadapt.cubes.variables import (
    VARIABLES,
    channel_name,
    find_variable,
    name_and_level,
    named_in_standard,
    near_names,
    split_channel,
)
from geoadapt.errors import GeoadaptError

PRITHVI_WXC = {
    "EFLUX": "surface_upward_latent_heat_flux", "GWETROOT": "root_zone_soil_wetness",
    "HFLUX": "surface_upward_sensible_heat_flux", "LAI": "leaf_area_index", "LWGAB": "surface_longwave_flux_absorbed",
    "LWGEM": "surface_longwave_flux_emitted", "LWTUP": "toa_outgoing_longwave_flux", "PS": "surface_pressure",
    "QV2M": "2m_specific_humidity", "SLP": "mean_sea_level_pressure",
    "SWGNT": "mean_surface_net_short_wave_radiation_flux", "SWTNT": "mean_top_net_short_wave_radiation_flux",
    "T2M": "2m_temperature", "TQI": "total_column_cloud_ice_water", "TQL": "total_column_cloud_liquid_water",
    "TQV": "total_column_water_vapour", "TS": "skin_temperature", "U10M": "10m_u_component_of_wind",
    "V10M": "10m_v_component_of_wind", "Z0M": "surface_roughness", "CLOUD": "fraction_of_cloud_cover",
    "H": "geopotential", "OMEGA": "vertical_velocity", "PL": "pressure", "QI": "specific_cloud_ice_water_content",
    "QL": "specific_cloud_liquid_water_content", "QV": "specific_humidity", "T": "temperature",
    "U": "u_component_of_wind", "V": "v_component_of_wind", "FRACI": "sea_ice_cover", "FRLAND": "land_fraction",
    "FROCEAN": "ocean_fraction", "PHIS": "geopotential_at_surface",
}  # fmt: skip


@pytest.mark.parametrize(("own", "name"), PRITHVI_WXC.items())
def test_all_variables_of_prithvi_wxc_have_a_name_of_their_own(own: str, name: str) -> None:
    assert find_variable(own) is VARIABLES[name]
    assert sum(n == name for n in PRITHVI_WXC.values()) == 1


@pytest.mark.parametrize(
    ("name", "aliases"),
    [
        ("2m_temperature", "t2m 2t VAR_2T tas Tair TREFHT T2M"),
        ("mean_sea_level_pressure", "msl slp psl SLP prmsl MSL"),
        ("surface_pressure", "sp ps PSurf PS"),
        ("geopotential", "z zg Z3 hgt"),
        ("temperature", "t ta T"),
        ("specific_humidity", "q hus QV SHUM"),
        ("vertical_velocity", "w wap omega"),
        ("mean_total_precipitation_rate", "pr PRECTOT"),
        ("total_precipitation", "tp"),
        ("mean_surface_downward_short_wave_radiation_flux", "rsds SWdown"),
    ],
)
def test_one_variable_has_many_names(name: str, aliases: str) -> None:
    assert {find_variable(a) for a in [name, *aliases.split()]} == {VARIABLES[name]}


def test_no_alias_is_claimed_twice() -> None:
    claims = [a for v in VARIABLES.values() for a in {v.name, *v.aliases}]
    assert len(claims) == len(set(claims))


def test_every_row_has_units_that_can_be_read_and_a_range_that_holds_its_peak() -> None:
    for variable in VARIABLES.values():
        assert parse_units(variable.units) is not None, variable.name
        assert variable.low < variable.high, variable.name
        assert variable.peak[0] < variable.peak[1] <= max(abs(variable.low), abs(variable.high)), variable.name
        assert variable.kind in ("instant", "accumulation", "flux", "static"), variable.name
        assert all(t in VARIABLES for t in variable.twins), variable.name


def test_an_alias_means_what_its_dimensions_say() -> None:
    assert find_variable("z", on_levels=False) is VARIABLES["geopotential_at_surface"]
    assert find_variable("q", on_levels=False) is VARIABLES["2m_specific_humidity"]
    assert find_variable("z", on_levels=True) is VARIABLES["geopotential"]


def test_a_standard_name_names_only_where_it_is_one_variable() -> None:
    assert named_in_standard("air_temperature", on_levels=True) is VARIABLES["temperature"]
    assert named_in_standard("air_temperature", on_levels=False) is VARIABLES["2m_temperature"]
    assert named_in_standard("wind_from_direction", on_levels=False) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ta850", ("temperature", 850.0)),
        ("Z_500", ("geopotential", 500.0)),
        ("hus700hPa", ("specific_humidity", 700.0)),
        ("u10", None),
        ("t2m", None),
        ("T2", None),
        ("x500", None),
        ("msl850", None),
        ("t0", None),
    ],
)
def test_a_level_in_a_name_is_read_only_where_it_is_one(name: str, found: tuple[str, float] | None) -> None:
    assert name_and_level(name) == found


@pytest.mark.parametrize(
    ("variable", "level"), [("temperature", 850.0), ("geopotential", 0.01), ("2m_temperature", None)]
)
def test_a_channel_splits_into_what_it_was_made_of(variable: str, level: float | None) -> None:
    assert split_channel(channel_name(variable, level)) == (variable, level)


def test_channels_have_no_trailing_zero() -> None:
    assert channel_name("temperature", 850.0) == "temperature@850"
    assert channel_name("temperature", 0.5) == "temperature@0.5"


@pytest.mark.parametrize("text", ["temperature@", "temperature@low", "@850", "temperature@-1", "temperature@inf"])
def test_a_channel_without_a_level_after_its_sign_is_none(text: str) -> None:
    with pytest.raises(GeoadaptError, match="is no channel"):
        split_channel(text)


def test_an_unknown_name_meets_its_neighbour() -> None:
    assert near_names("2m_temprature", VARIABLES) == "did you mean '2m_temperature'?"
    assert near_names("2t", ["Tair", "pr"]) == "did you mean 'Tair'?"
