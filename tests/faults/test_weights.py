"""RELIABILITY.md 32 (pickle that runs code), 33 (damaged safetensors), 35 (keys and shapes), 36 (NaN in weights)."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from geoadapt import registry
from geoadapt.backbones import BACKBONES, weights
from geoadapt.backbones.config import DlL8s2UvConfig, GalileoConfig, PmaaConfig, PrestoConfig, SpaGanConfig
from geoadapt.backbones.galileo import build
from geoadapt.backbones.weights import find_weights, fingerprint, load_into, load_state
from geoadapt.errors import GeoadaptError


class Harm:
    """Unpickling this runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path, writer: str) -> None:
    marker, path = tmp_path / "marker", tmp_path / "encoder.pt"
    if writer == "pickle":
        path.write_bytes(pickle.dumps({"weight": Harm(marker)}))
    else:
        torch.save({"weight": torch.zeros(1), "x": Harm(marker)}, path)
    with pytest.raises(GeoadaptError) as caught:
        build(GalileoConfig(weights=str(path)))
    assert not marker.exists()
    assert str(path) in str(caught.value)
    assert "convert it to safetensors" in str(caught.value)


def good(path: Path) -> Path:
    save_file({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4)}, path)
    return path


def rewrite_header(path: Path, change: object) -> None:
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    change(header)  # type: ignore[operator]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_last_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def wrong_header_length(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 60) + path.read_bytes()[8:])


def overlapping_offsets(path: Path) -> None:
    rewrite_header(path, lambda header: header["b"].update(data_offsets=[0, 16]))


def offsets_past_the_end(path: Path) -> None:
    rewrite_header(path, lambda header: header["b"].update(data_offsets=[24, 4000], shape=[994]))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 4)


@pytest.mark.parametrize(
    "damage",
    [cut_in_half, drop_last_byte, wrong_header_length, overlapping_offsets, offsets_past_the_end, empty, garbage],
)
def test_damaged_safetensors_are_an_error_and_nothing_is_loaded(tmp_path: Path, damage: object) -> None:
    path = good(tmp_path / "w.safetensors")
    damage(path)  # type: ignore[operator]
    with pytest.raises(GeoadaptError) as caught:
        load_state(path)
    assert str(path) in str(caught.value)
    assert "not a whole safetensors file" in str(caught.value)


@pytest.mark.parametrize("damage", [cut_in_half, empty, garbage])
def test_damaged_pytorch_files_are_an_error(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(1000)}, path)
    damage(path)  # type: ignore[operator]
    with pytest.raises(GeoadaptError, match="w.pt"):
        load_state(path)


def test_a_file_that_holds_no_table_of_tensors_is_an_error(tmp_path: Path) -> None:
    torch.save([1, 2, 3], tmp_path / "w.pt")
    with pytest.raises(GeoadaptError, match="no table of tensors"):
        load_state(tmp_path / "w.pt")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_an_error(tmp_path: Path, value: float) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(3), "b": torch.tensor([1.0, value])}, path)
    with pytest.raises(GeoadaptError, match="not finite in b"):
        load_state(path)


def test_missing_unknown_and_misshapen_keys_are_listed_up_to_five_and_nothing_is_loaded(tmp_path: Path) -> None:
    model = build(GalileoConfig(random_weights=True))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {key: value + 1 for key, value in before.items() if not key.startswith("blocks.0.")}
    state["norm.weight"] = torch.zeros(7)
    state["stranger"] = torch.zeros(1)
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    with pytest.raises(GeoadaptError) as caught:
        load_into(model, path)
    text = str(caught.value)
    assert "missing keys blocks.0." in text and "and 11 more" in text
    assert "unknown keys stranger" in text
    assert "norm.weight (7,), expected (128,)" in text
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_keys_of_a_wrapped_backbone_are_understood(tmp_path: Path) -> None:
    save_file({"backbone.norm.weight": torch.ones(2)}, tmp_path / "w.safetensors")
    assert list(load_state(tmp_path / "w.safetensors")) == ["norm.weight"]


def test_safetensors_are_preferred_and_a_given_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights" / "galileo_nano"
    folder.mkdir(parents=True)
    for name in ("encoder.pt", "encoder.safetensors"):
        (folder / name).write_bytes(b"x")
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path / "weights"))
    files = ("encoder.safetensors", "encoder.pt")
    assert find_weights("galileo_nano", None, files).name == "encoder.safetensors"
    assert find_weights("galileo_nano", folder / "encoder.pt", files).name == "encoder.pt"
    assert find_weights("galileo_nano", folder, files) == folder / "encoder.safetensors"


def test_the_hub_is_asked_last_and_all_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def refuse(repository: str, file: str, local_files_only: bool = False) -> str:
        asked.append((repository, file))
        raise LocalEntryNotFoundError("not in the cache") if local_files_only else OSError("no network")

    monkeypatch.setattr(weights.socket, "getaddrinfo", lambda *_: [])

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path))
    with pytest.raises(GeoadaptError) as caught:
        build(GalileoConfig(name="galileo_tiny"))
    assert asked == [("nasaharvest/galileo", "models/tiny/encoder.pt")] * 2
    assert str(tmp_path) in str(caught.value)
    assert "huggingface.co/nasaharvest/galileo" in str(caught.value)
    assert "GEOADAPT_WEIGHTS" in str(caught.value)


def test_without_a_network_the_answer_comes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def only_the_cache(*_: object, local_files_only: bool = False) -> str:
        assert local_files_only, "the network was tried although no name can be looked up"
        raise LocalEntryNotFoundError("not in the cache")

    def no_name(*_: object) -> None:
        raise OSError("no name service")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", only_the_cache)
    monkeypatch.setattr(weights, "getproxies", dict)
    monkeypatch.setattr(weights.socket, "getaddrinfo", no_name)
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path))
    with pytest.raises(GeoadaptError, match="no weights found"):
        build(GalileoConfig(name="galileo_base"))


@pytest.mark.parametrize(
    ("config", "where"),
    [
        (PrestoConfig(), "github.com/nasaharvest/presto"),
        (DlL8s2UvConfig(), "github.com/IPL-UV/DL-L8S2-UV"),
        (PmaaConfig(), "github.com/XavierJiezou/PMAA"),
        (SpaGanConfig(), "github.com/Penn000/SpA-GAN_for_cloud_removal"),
    ],
)
def test_weights_that_no_hub_has_are_told_where_to_get(
    config: Any, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path))
    with pytest.raises(GeoadaptError) as caught:
        registry.build(BACKBONES, config)
    assert where in caught.value.hint and f"the folder above {config.name}/" in caught.value.hint


def test_what_the_hub_gives_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    model = build(GalileoConfig(random_weights=True, seed=5))
    torch.save(model.state_dict(), tmp_path / "encoder.pt")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(tmp_path / "encoder.pt"))
    monkeypatch.setenv("GEOADAPT_WEIGHTS", str(tmp_path / "nothing"))
    assert torch.equal(build(GalileoConfig()).norm.weight, model.norm.weight)


def test_a_folder_without_weights_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(GeoadaptError, match="encoder.safetensors or encoder.pt"):
        build(GalileoConfig(weights=str(tmp_path)))


def test_fingerprint_is_the_files_sha256_and_follows_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_KNOWN", {})
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    assert fingerprint(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert fingerprint(path) == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"


def test_fingerprint_is_remembered_in_a_file_and_lives_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(weights, "_KNOWN", {})
    first = fingerprint(path)
    stored = tmp_path / "cache" / "geoadapt" / "fingerprints.json"
    assert first in stored.read_text()
    stored.write_text("{ broken")
    monkeypatch.setattr(weights, "_KNOWN", {})
    assert fingerprint(path) == first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(weights, "_KNOWN", {})
    assert fingerprint(path) == first


def test_the_source_names_file_hash_place_and_licence(weights_dir: Path) -> None:
    source = build(GalileoConfig(weights=str(weights_dir / "galileo_nano"))).source
    assert source is not None
    assert source.as_plain() == {
        "name": "galileo_nano",
        "file": "encoder.pt",
        "sha256": "eab6acacf527886a508a555bc24efe4b4a2cf91b162e84cd1c4a1807e942180c",
        "where": "https://huggingface.co/nasaharvest/galileo (models/nano)",
        "licence": "MIT",
    }
