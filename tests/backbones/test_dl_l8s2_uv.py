from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import Tensor

from geoadapt.adapters.attach import attach, probe
from geoadapt.adapters.config import FullConfig, LoraConfig
from geoadapt.backbones.config import DL_L8S2_UV_CHANNELS, DlL8s2UvConfig
from geoadapt.backbones.dl_l8s2_uv import DlL8s2Uv, build, reflection
from geoadapt.backbones.weights import fingerprint
from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.load import load_bundle
from geoadapt.bundle.save import save_bundle
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.fields.types import Batch, Field
from geoadapt.heads.config import FcnConfig, LinearConfig, UnetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import build_model, image_batch

CONFIG = DlL8s2UvConfig(random_weights=True)
SIX = DL_L8S2_UV_CHANNELS["RGBISWIR7"]
LORA = LoraConfig(r=2, targets=("pointwise",))


def batch(b: int = 2, t: int = 1, h: int = 16, w: int = 24) -> Batch:
    values = torch.rand(b, t, 6, h, w, generator=torch.Generator().manual_seed(0)) * 0.6
    return Batch({"optical": Field(values, SIX)})


def keras_file(path: Path, model: DlL8s2Uv, inner: str = "{}_2") -> Path:
    """The model's tensors as Keras would store them, written by hand from its documented layout."""
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    layers = {"normalization": "normalise", "linear_model": "classify", "upconv1": "up.0", "upconv2": "up.1"}
    stages = ("input", "pool1", "pool2", "up1", "up2")
    halves = [(f"{stage}_{{}}_{h + 1}", f"blocks.{n}.{h}") for n, stage in enumerate(stages) for h in (0, 1)]
    with h5py.File(path, "w") as file:
        for layer, own in layers.items():
            group = file.create_group(f"model_weights/{layer}/{inner.format(layer)}")
            group["kernel:0"] = np.einsum("abhw->hwba", state[f"{own}.weight"])
            group["bias:0"] = state[f"{own}.bias"]
        for layer, own in halves:
            conv, norm = layer.format("conv"), layer.format("bn")
            group = file.create_group(f"model_weights/{conv}/{inner.format(conv)}")
            group["depthwise_kernel:0"] = np.einsum("cmhw->hwcm", state[f"{own}.depthwise.weight"])
            group["pointwise_kernel:0"] = np.einsum("oihw->hwio", state[f"{own}.pointwise.weight"])
            group["bias:0"] = state[f"{own}.pointwise.bias"]
            group = file.create_group(f"model_weights/{norm}/{inner.format(norm)}")
            names = {"gamma": "weight", "beta": "bias", "moving_mean": "mean", "moving_variance": "var"}
            for there, here in names.items():
                group[f"{there}:0"] = state[f"{own}.norm.{here}"]
        file["optimizer_weights/training/Adam/iter:0"] = 7
    return path


@cache
def scene(data_dir: Path, name: str) -> tuple[Tensor, np.ndarray]:
    with np.load(data_dir / "cloudmask" / "ukis_csmask" / f"{name}.npz") as stored:
        return torch.from_numpy(stored["img"].transpose(2, 0, 1).copy()), stored["msk"][..., 0] == 4


def iou(model: DlL8s2Uv, image: Tensor, truth: np.ndarray) -> float:
    with torch.inference_mode():
        said = (model.cloud_probability(image[None])[0] >= 0.5).numpy()
    return float((said & truth).sum() / (said | truth).sum())


@pytest.mark.parametrize(
    ("variant", "name", "expected"),
    [
        ("RGBISWIR7", "sentinel2", 0.832),
        ("RGBISWIR7", "landsat7", 0.634),
        ("RGBI6", "sentinel2", 0.624),
        ("RGBI6", "landsat7", 0.548),
    ],
)
def test_the_public_weights_score_as_measured_and_the_order_of_channels_matters(
    data_dir: Path, weights_dir: Path, variant: str, name: str, expected: float
) -> None:
    model = build(DlL8s2UvConfig(variant=variant, weights=str(weights_dir / "dl_l8s2_uv")))
    image, truth = scene(data_dir, name)
    image = image[: len(model.channels)]
    right = iou(model, image, truth)
    swapped = iou(model, image[[2, 1, 0, *range(3, len(image))]], truth)
    assert right == pytest.approx(expected, abs=0.005)
    assert 0.085 <= right - swapped <= 0.195


def test_the_public_file_is_named_by_its_hash(weights_dir: Path) -> None:
    source = build(DlL8s2UvConfig(weights=str(weights_dir))).source
    assert source is not None
    assert source.file == "landsatbiomeRGBISWIR7.hdf5" and source.licence == "MIT"
    assert source.sha256 == fingerprint(weights_dir / "dl_l8s2_uv" / source.file)
    assert source.sha256.startswith("ed8cf5ea5235")


def test_random_weights_keep_the_public_normalisation(weights_dir: Path) -> None:
    for variant in DL_L8S2_UV_CHANNELS:
        public = build(DlL8s2UvConfig(variant=variant, weights=str(weights_dir)))
        drawn = build(replace(CONFIG, variant=variant))
        assert torch.equal(public.normalise.weight, drawn.normalise.weight)
        assert torch.equal(public.normalise.bias, drawn.normalise.bias)


@pytest.mark.parametrize("variant", list(DL_L8S2_UV_CHANNELS))
@pytest.mark.parametrize("inner", ["{}", "{}_2"])
def test_a_keras_file_is_read_in_its_layout_whatever_its_inner_groups_are_called(
    tmp_path: Path, variant: str, inner: str
) -> None:
    drawn = build(replace(CONFIG, variant=variant))
    with torch.no_grad():
        for value in drawn.state_dict().values():
            value.copy_(torch.rand_like(value) + 0.1)
    path = keras_file(tmp_path / f"landsatbiome{variant}.hdf5", drawn, inner)
    read = build(DlL8s2UvConfig(variant=variant, weights=str(path)))
    for key, value in drawn.state_dict().items():
        assert torch.equal(read.state_dict()[key], value), f"{key} differs"


def test_maps_have_the_declared_widths_and_strides() -> None:
    model = build(CONFIG)
    features = model(batch(2, 3, 24, 40))
    declared = zip(model.spec.widths, model.spec.strides, strict=True)
    assert [tuple(m.shape) for m in features.maps] == [(2, 3, w, 24 // s, 40 // s) for w, s in declared]
    assert features.strides == model.spec.strides
    assert not any(p.requires_grad for p in model.parameters())


def test_channels_are_taken_by_name_and_what_is_masked_is_not_seen() -> None:
    model = build(CONFIG)
    field = batch().inputs["optical"]
    turned = Field(field.values.flip(2), tuple(reversed(SIX)))
    for one, other in zip(model(Batch({"optical": field})).maps, model(Batch({"optical": turned})).maps, strict=True):
        assert torch.equal(one, other)
    valid = torch.rand(field.values.shape, generator=torch.Generator().manual_seed(1)) > 0.3
    spoilt = [torch.where(valid, field.values, hidden) for hidden in (0.7, float("nan"))]
    maps = [model(Batch({"optical": replace(field, values=v, valid=valid)})).maps[-1] for v in spoilt]
    assert torch.equal(*maps)


def test_training_mode_does_not_move_the_stored_statistics() -> None:
    model = build(CONFIG)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = model(batch()).maps[-1]
    assert torch.equal(model.train()(batch()).maps[-1], expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(("height", "width"), [(1, 9), (3, 8), (13, 21), (16, 16)])
def test_an_image_of_any_size_is_continued_by_reflection(height: int, width: int) -> None:
    model = build(CONFIG)
    image = batch(1, 1, height, width).inputs["optical"].values[:, 0]
    pads = [(0, 0), (0, 0), (0, -height % 8), (0, -width % 8)]
    padded = torch.from_numpy(np.pad(image.numpy(), pads, mode="reflect" if height > 1 else "symmetric"))
    if height == 1:
        padded = torch.from_numpy(np.pad(np.repeat(image.numpy(), 8, axis=2), [*pads[:2], (0, 0), pads[3]], "reflect"))
    with torch.no_grad():
        said = model.cloud_probability(image)
        whole = model.cloud_probability(padded)
    assert said.shape == (1, height, width)
    assert torch.equal(said, whole[:, :height, :width])


def test_reflection_goes_back_and_forth_on_a_short_axis() -> None:
    assert reflection(3, 8).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert reflection(1, 8).tolist() == [0] * 8
    assert reflection(8, 8).tolist() == list(range(8))


def test_lora_on_the_pointwise_convolutions_lives_and_merges() -> None:
    attached = attach(build(CONFIG), LORA)
    probe(attached, batch())
    assert len(attached.modules()) == 10
    with torch.no_grad():
        plain = build(CONFIG)(batch()).maps
        for one, other in zip(attached.backbone(batch()).maps, plain, strict=True):
            assert torch.equal(one, other)
        for parameter in attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
        before = attached.backbone(batch()).maps
        attached.merge()
        after = attached.backbone(batch()).maps
    assert not torch.allclose(before[-1], plain[-1], atol=1e-2)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    last = attach(build(CONFIG), replace(LORA, last_blocks=1))
    assert set(last.modules()) == {"blocks.4.0.pointwise", "blocks.4.1.pointwise"}


def test_full_fine_tuning_leaves_the_normalisation_of_the_input_alone() -> None:
    names = attach(build(CONFIG), FullConfig()).named_parameters()
    assert "blocks.0.0.depthwise.weight" in names
    assert not [name for name in names if name.startswith("normalise")]


@pytest.mark.parametrize("head", [UnetConfig(width=8), FcnConfig(width=8, layers=1), LinearConfig()])
def test_a_bundle_with_any_head_comes_back_as_it_was(
    tmp_path: Path, head: UnetConfig | FcnConfig | LinearConfig
) -> None:
    file = keras_file(tmp_path / "landsatbiomeRGBISWIR7.hdf5", build(CONFIG))
    backbone = DlL8s2UvConfig(weights=str(file))
    inputs = HeadInputs(3, torch.full((6,), 0.2), torch.full((6,), 0.1))
    model = build_model(backbone, LORA, head, inputs, SIX)
    with torch.no_grad():
        for parameter in model.attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    card = BundleCard(
        name="small",
        task="cloud_segmentation",
        backbone=asdict(backbone),
        adapter=asdict(LORA),
        head=asdict(head),
        source=model.source.as_plain(),
        channels=SIX,
        units="reflectance",
        mean=(0.2,) * 6,
        std=(0.1,) * 6,
        classes=(CLOUD_CLASSES[0], CLOUD_CLASSES[1], CLOUD_CLASSES[3]),
        metrics={},
        data="none",
        seed=0,
        command="geoadapt train",
        licence="Apache-2.0",
    )
    folder = save_bundle(tmp_path / "bundle", model, card, {})
    image = torch.rand(2, 6, 24, 32, generator=torch.Generator().manual_seed(2)) * 0.6
    with torch.no_grad():
        expected = model.eval()(image_batch(image, None, SIX))[:, 0].softmax(dim=1)
    bundle = load_bundle(folder)
    assert bundle.multiple == 8 and expected.shape == (2, 3, 24, 32)
    torch.testing.assert_close(bundle.scores(image), expected, atol=1e-4, rtol=1e-4)
    keras_file(file, build(replace(CONFIG, seed=1)))
    with pytest.raises(GeoadaptError, match="was trained on backbone landsatbiomeRGBISWIR7.hdf5"):
        load_bundle(folder)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text(path: Path) -> None:
    path.write_text("not found")


def without_a_layer(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["model_weights/pool2_bn_1"]


def with_nan(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["model_weights/up1_conv_1/up1_conv_1_2/bias:0"][3] = np.nan


def of_another_model(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as file:
        file["dense/kernel"] = np.zeros(3)


def of_the_other_variant(path: Path) -> None:
    keras_file(path, build(replace(CONFIG, variant="RGBI6")))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncated, "not a whole HDF5 file"),
        (text, "not a whole HDF5 file"),
        (without_a_layer, "missing keys blocks.2.0.norm.weight"),
        (with_nan, "values that are not finite in blocks.3.0.pointwise.bias"),
        (of_another_model, "these are the weights of something else"),
        (of_the_other_variant, "wrong shapes normalise.weight (4, 4, 1, 1), expected (6, 6, 1, 1)"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, harm: Callable[[Path], None], words: str) -> None:
    path = keras_file(tmp_path / "landsatbiomeRGBISWIR7.hdf5", build(CONFIG))
    harm(path)
    with pytest.raises(GeoadaptError) as caught:
        build(DlL8s2UvConfig(weights=str(path)))
    assert words in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Batch({"sar": batch().inputs["optical"]}), "needs 'optical'"),
        (Batch({"optical": batch().inputs["optical"].select(SIX[:4])}), "variant RGBISWIR7 needs"),
        (batch(h=12), "12 × 24 px is no multiple of 8 px"),
    ],
)
def test_what_does_not_fit_is_named(given: Batch, words: str) -> None:
    with pytest.raises(GeoadaptError) as caught:
        build(CONFIG)(given)
    assert words in str(caught.value)


def test_an_unknown_variant_is_named_with_the_nearest() -> None:
    with pytest.raises(GeoadaptError, match="did you mean 'RGBI6'"):
        DlL8s2UvConfig(variant="RGBI")
