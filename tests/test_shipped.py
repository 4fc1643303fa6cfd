"""What ships with the package is found in it, or said to be absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoadapt import shipped
from geoadapt.errors import GeoadaptError


def test_a_copy_without_the_bundle_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(GeoadaptError, match="comes without a bundle; name one with --bundle"):
        shipped.shipped_bundle()
    assert shipped.shipped_weights("small_eo") is None


def test_bundle_and_weights_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    for file in ("clouds/bundle.json", "small_eo/b.safetensors", "small_eo/README.md", "other/c.safetensors"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{}")
    assert shipped.shipped_bundle() == tmp_path / "clouds"
    assert shipped.shipped_weights("small_eo") == tmp_path / "small_eo" / "b.safetensors"


def test_the_folder_lies_in_the_package() -> None:
    assert Path(shipped.__file__).resolve().parent == shipped.FOLDER
