"""Names of the classes of GEO-Bench-2's data sets, in the order of their numbers.

In: nothing. Out: tuples, in the order of the benchmark's own loaders; see ``Layout2.assumed``.
"""

from __future__ import annotations

__all__ = ["CLIMATE_ZONES", "CORINE_19", "CROPS", "DRIVERS", "FLAIR", "GENERA_15", "LAND_COVER_7"]

CORINE_19 = (
    *("urban fabric", "industrial or commercial units", "arable land", "permanent crops", "pastures"),
    "complex cultivation patterns",
    "land principally occupied by agriculture, with significant areas of natural vegetation",
    "agro-forestry areas",
    *("broad-leaved forest", "coniferous forest", "mixed forest", "natural grassland and sparsely vegetated areas"),
    *("moors, heathland and sclerophyllous vegetation", "transitional woodland, shrub", "beaches, dunes, sands"),
    *("inland wetlands", "coastal wetlands", "inland waters", "marine waters"),
)
CLIMATE_ZONES = (
    *("compact high-rise", "compact middle-rise", "compact low-rise", "open high-rise", "open middle-rise"),
    *("open low-rise", "lightweight low-rise", "large low-rise", "sparsely built", "heavy industry"),
    *("dense trees", "scattered trees", "bush, scrub", "low plants", "bare rock or paved"),
    *("bare soil or sand", "water"),
)
DRIVERS = (
    *("oil palm plantation", "timber plantation", "other large-scale plantations", "grassland/shrubland"),
    *("small-scale agriculture", "small-scale mixed plantation", "small-scale oil palm plantation", "mining"),
    *("fish pond", "logging road", "secondary forest", "other"),
)
CROPS = (
    *("background", "meadow", "soft winter wheat", "corn", "winter barley", "winter rapeseed", "spring barley"),
    *("sunflower", "grapevine", "beet", "winter triticale", "winter durum wheat"),
    *("fruits, vegetables, flowers", "potatoes", "leguminous fodder", "soybeans", "orchard", "mixed cereal", "sorghum"),
)
FLAIR = (
    *("building", "pervious surface", "impervious surface", "bare soil", "water", "coniferous", "deciduous"),
    *("brushwood", "vineyard", "herbaceous vegetation", "agricultural land", "plowed land", "other"),
)
LAND_COVER_7 = (
    *("impervious surface", "agriculture", "forest and other vegetation", "wetlands", "soil", "water"),
    "snow and ice",
)
GENERA_15 = (
    *("abies", "acer", "alnus", "betula", "cleared", "fagus", "fraxinus", "larix", "picea", "pinus", "populus"),
    *("prunus", "pseudotsuga", "quercus", "tilia"),
)
"""The benchmark's documents count 13 of them, its loader names 15."""
