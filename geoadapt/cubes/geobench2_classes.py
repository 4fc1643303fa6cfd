"""Names of the classes of GEO-Bench-2's data sets, in the order of their numbers.

In: nothing. Out: tuples. Their numbers are those of each set's own publication; see ``Layout2.assumed``.
"""

from __future__ import annotations

__all__ = ["CLIMATE_ZONES", "CORINE_19", "CROPS", "DRIVERS", "FLAIR", "GENERA_13", "LAND_COVER_7"]

CORINE_19 = (
    *("urban fabric", "industrial or commercial units", "arable land", "permanent crops", "pastures"),
    *("complex cultivation patterns", "agriculture with natural vegetation", "agro-forestry areas"),
    *("broad-leaved forest", "coniferous forest", "mixed forest", "natural grassland and sparsely vegetated areas"),
    *("moors, heathland and sclerophyllous vegetation", "transitional woodland and shrub", "beaches, dunes, sands"),
    *("inland wetlands", "coastal wetlands", "inland waters", "marine waters"),
)
CLIMATE_ZONES = (
    *("compact high rise", "compact mid rise", "compact low rise", "open high rise", "open mid rise"),
    *("open low rise", "lightweight low rise", "large low rise", "sparsely built", "heavy industry"),
    *("dense trees", "scattered trees", "bush and scrub", "low plants", "bare rock or paved"),
    *("bare soil or sand", "water"),
)
DRIVERS = (
    *("oil palm plantation", "timber plantation", "other large-scale plantations", "grassland and shrubland"),
    *("small-scale agriculture", "small-scale mixed plantation", "small-scale oil palm plantation", "mining"),
    *("fish pond", "logging", "secondary forest", "other"),
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
GENERA_13 = tuple(f"genus {n}" for n in range(1, 14))
"""Until the files name them."""
