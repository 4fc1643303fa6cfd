"""Which places of the public data sets of cloud removal validate and test, as their authors published them.

Sen2_MTC_New: the tile lists of PMAA. SEN12MS-CR and -TS: the scenes of their authors' loaders; all others train.
"""

from __future__ import annotations

__all__ = ["CR_SPLITS", "MTC_SPLITS", "TS_SPLITS"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MTC_SPLITS: dict[str, frozenset[str]] = {
    "train": _names(
        "T49SCC_R018 T47NQA_R018 T21MUR_R010 T13TDL_R041 T55HDT_R073 T39UXT_R092 T13QGF_R012 T46TFR_R033 T43UGV_R091 "
        "T16TGN_R083 T24MYU_R052 T19MDQ_R039 T17SKD_R040 T54KTE_R002 T36TUT_R007 T45TVH_R019 T51QUU_R003 T09WWP_R071 "
        "T35TMG_R050 T51HVE_R074 T37TGN_R078 T54JWM_R059 T34VEH_R079 T20HQE_R024 T57WXN_R088 T45VXE_R062 T40UEE_R006 "
        "T15RUQ_R026 T25MBM_R009 T43UFP_R048 T42VUL_R063 T55KCQ_R016 T30PTR_R008 T43QCE_R005"
    ),
    "val": _names("T22MCT_R024 T34TDT_R036 T43UGQ_R048 T60KWF_R072 T39VIF_R078"),
    "test": _names(
        "T41VMJ_R006 T31TBG_R051 T50JML_R060 T33VXG_R022 T41UNR_R020 T46TEL_R033 T54HTJ_R102 T15UVU_R012 T12TUR_R027 "
        "T56JMQ_R030"
    ),
}
"""Tiles; 34, 5 and 10."""

CR_SPLITS: dict[str, frozenset[str]] = {
    "val": _names(
        "ROIs2017_winter_22 ROIs1868_summer_19 ROIs1970_fall_65 ROIs1158_spring_17 ROIs2017_winter_107 "
        "ROIs1868_summer_80 ROIs1868_summer_127 ROIs2017_winter_130 ROIs1868_summer_17 ROIs2017_winter_84"
    ),
    "test": _names(
        "ROIs1158_spring_106 ROIs1158_spring_123 ROIs1158_spring_140 ROIs1158_spring_31 ROIs1158_spring_44 "
        "ROIs1868_summer_119 ROIs1868_summer_73 ROIs1970_fall_139 ROIs2017_winter_108 ROIs2017_winter_63"
    ),
}
"""Scenes of SEN12MS-CR; of 175, the other 155 train."""

TS_SPLITS: dict[str, frozenset[str]] = {
    "val": _names("ROIs2017/22 ROIs1970/65 ROIs2017/117 ROIs1868/127 ROIs1868/17"),
    "test": _names(
        "ROIs1868/119 ROIs1970/139 ROIs2017/108 ROIs2017/63 ROIs1158/106 ROIs1868/73 ROIs2017/32 ROIs1868/100 "
        "ROIs1970/132 ROIs2017/103 ROIs1868/142 ROIs1970/20 ROIs2017/140"
    ),
}
"""Regions of SEN12MS-CR-TS."""
