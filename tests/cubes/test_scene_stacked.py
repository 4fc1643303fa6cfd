"""One file with all bands: their names and their scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geoadapt.cubes.open import open_cube
from geoadapt.cubes.scene import open_scene
from geoadapt.errors import GeoadaptError
from geoadapt.io.base import Window
from geoadapt.io.decode import decode
from tests import synth


def test_a_stacked_file_is_reordered_by_its_descriptions(tmp_path: Path) -> None:
    array = synth.scene(3)
    path = synth.write_tif(tmp_path / "stack.tif", array, names=("NIR", "Red", "Blue"))
    cube = open_cube(path, bands=("blue", "nir"))
    np.testing.assert_array_equal(cube.values[0], array[[2, 0]])


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_unnamed_stack_takes_the_order_of_a_named_sensor(tmp_path: Path) -> None:
    array = (synth.scene(13) * 10000).astype(np.uint16)
    path = synth.write_tif(tmp_path / "stack.tif", array)
    assert open_scene(path).info.bands == tuple(f"band_{i}" for i in range(1, 14))
    source = open_scene(path, sensor="sentinel2_l1c", channels=("red", "nir08"))
    values, _ = decode(source.read(Window(3, 4, 1, 1)), source.info)
    np.testing.assert_allclose(values[:, 0, 0], [array[3, 3, 4] / 1e4, array[8, 3, 4] / 1e4], rtol=1e-6)
    with pytest.raises(GeoadaptError, match="13 unnamed bands, landsat8_l2 has 11"):
        open_scene(path, sensor="landsat8_l2")


def test_declared_scale_and_offset_are_applied_once(tmp_path: Path) -> None:
    array = np.full((1, 8, 8), 3000, np.uint16)
    path = synth.write_tif(tmp_path / "x.tif", array, names=("red",), scale=1e-4, offset=-0.1)
    assert float(open_cube(path).mean()) == pytest.approx(0.2)
    assert float(open_cube(path, sensor="sentinel2_l2a").mean()) == pytest.approx(0.2)
    assert float(open_cube(path, scale=1e-4, offset=0.0).mean()) == pytest.approx(0.3)
