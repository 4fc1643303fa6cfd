"""The files of GEO-Bench-2's data sets and their sha256, as the benchmark's own loaders state them; literal data.

Where a set has more parts than its loader lists, those of the list stand here.
"""

from __future__ import annotations

__all__ = ["PUBLISHED"]


def _one(key: str, digest: str) -> dict[str, str]:
    return {f"geobench_{key}.tortilla": digest}


def _parts(key: str, *digests: str) -> dict[str, str]:
    return {f"geobench_{key}.{n:04d}.part.tortilla": digest for n, digest in enumerate(digests)}


PUBLISHED: dict[str, dict[str, str]] = {
    "benv2": _one("benv2", "330876e91199cb179113224c6e4e9632f8971446fe29ffbb035e5b8bbdee8319"),
    "treesatai": _one("treesatai", "04435ade7d429418cf2e51db9ec493a9ca196e79aff661425d82b066bdd3a759"),
    "so2sat": _one("so2sat", "1c1eea74f352b02e49a8549e2605f89c23bce2474c6bc728849d0ce97b50eb2b"),
    "forestnet": _one("forestnet", "6ee7cb7135b4ca5d0cde52e781f5960ed0e648dcceab598982fa612802cd3ad1"),
    "biomassters": _parts("biomassters", "77682ec73a9d496eb694b6a6e65c2ee793ed9f326e6b37a9dea1b065177334ff"),
    "kuro_siwo": _one("kuro_siwo", "0b546c54df70cb7548081df688cc2317f00f7b81e541e09fa0ddcd787d647eef"),
    "dynamic_earthnet": _parts(
        "dynamic_earthnet",
        "ddc7848db890933337d494a3086a5179630132dd7d76cd92cf0ae98bec66c986",
        "de6b49c217f35f6f1c37fd7e889fc2c9db28f542207c797627de8fa3fd211b4f",
        "d08bceb12f4294d815dd9ea26f31d9ae6315d9afc816301863a08a65addd4e73",
    ),
    "pastis": _parts(
        "pastis",
        "7ab6748fe26c4d9ece6ccc2139d1e305505f3cb51e966024795b127d0b84bf35",
        "92b25a4220e35104ae2e79916d506c949da16dcba136d5f37452bafc0ca8ce13",
        "f3038a4f7ced1c5faf89368ee10dae408e612fd29a60f500140ce8d315503dbb",
    ),
    "burn_scars": _one("burn_scars", "9f865e72bc4aeb657ee03be167a093f80ee92403ccb2c23b4d19be1189e442aa"),
    "spacenet2": _parts(
        "spacenet2",
        "97e47bca68e482bed0fe44d5e1d799cbbef7828374a1a7e5cf9687385047183a",
        "66bfd89e7d80ceaef88a439034ab771e61ee396b8a3e785817e876c9c0a35163",
        "bcfcaedef82d7b49bc9bf23cb34fcf50e83d25fdb14e50332bfeabeb793b3e03",
    ),
    "cloudsen12": _one("cloudsen12", "8c1509160c74be95f7934bf9cdcca1b1893d8fb1a7df70c5de1944160f741e04"),
    "fotw": _one("fotw", "7b422acc120b99f3cf4e8389a28616f257ea81016073d9ee529699fcda667763"),
    "caffe": _one("caffe", "f9aec21a2a0da3365e853c1a370b3209dca668ab7a595ac1b3b6f13446fd8939"),
    "flair2": _one("flair2", "96d18b1e7673fa2233145d69fd67db530c53bf68027b30466f7c94fd456df689"),
    "spacenet7": _one("spacenet7", "dc2364926ce2b247d183f77fadf778f3a679d6be6ef891ffed92cff230722ee4"),
}
"""Key of the benchmark → file → sha256."""
