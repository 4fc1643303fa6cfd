"""Runs inside the environment of ukis-csmask: ``python -I call_ukis_csmask.py FOLDER``, see ``side.call``.

Labels: 0 background, 1 cloud, 2 cloud shadow, as its documentation numbers them; 255 where a band is missing.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ukis_csmask.mask import CSmask


def main() -> None:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    seconds = []
    for number in range(job["count"]):
        image = np.load(folder / f"{number}.npy", allow_pickle=False)
        missing = ~np.isfinite(image).all(axis=-1)
        begin = time.perf_counter()
        mask = CSmask(img=np.nan_to_num(image), band_order=job["channels"], product_level="l1c", nodata_value=0)
        labels = np.asarray(mask.csm, np.uint8).reshape(image.shape[:2]).copy()
        seconds.append(round(time.perf_counter() - begin, 2))
        labels[missing] = 255
        np.save(folder / f"{number}.labels.npy", labels, allow_pickle=False)
    about = {"version": version("ukis-csmask"), "onnxruntime": version("onnxruntime"), "seconds": seconds}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main()
