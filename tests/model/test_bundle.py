import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from geoadapt.adapters.config import LoraConfig
from geoadapt.baselines.pixelwise import LinearDiscriminant
from geoadapt.baselines.unet import SmallUnet
from geoadapt.bundle.card import BundleCard
from geoadapt.bundle.load import load_baselines, load_bundle
from geoadapt.bundle.save import save_bundle
from geoadapt.cubes.classes import CLOUD_CLASSES
from geoadapt.errors import GeoadaptError
from geoadapt.fields.csmask import CHANNELS
from geoadapt.heads.config import UnetConfig
from geoadapt.heads.inputs import HeadInputs
from geoadapt.model import build_model, image_batch
from tests.tiny import tiny_backbone

INPUTS = HeadInputs(3, torch.full((6,), 0.2), torch.full((6,), 0.1))
BACKBONE = tiny_backbone(seed=3)
CLASSES = (CLOUD_CLASSES[0], CLOUD_CLASSES[1], CLOUD_CLASSES[3])


def card(model):
    return BundleCard(
        name="small",
        task="cloud_segmentation",
        backbone=asdict(BACKBONE),
        adapter=asdict(LoraConfig(r=2)),
        head=asdict(UnetConfig(width=8)),
        source=model.source.as_plain(),
        channels=CHANNELS,
        units="reflectance",
        mean=(0.2,) * 6,
        std=(0.1,) * 6,
        classes=CLASSES,
        metrics={"test/miou": 0.5},
        data="none",
        seed=0,
        command="geoadapt train",
        licence="Apache-2.0",
        rule={"blue": 0.2},
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model with a perturbed adapter, and its bundle."""
    model = build_model(BACKBONE, LoraConfig(r=2), UnetConfig(width=8), INPUTS, CHANNELS)
    with torch.no_grad():
        for parameter in model.attached.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    lda = LinearDiscriminant(torch.randn(3, 6), torch.randn(3))
    save_bundle(folder, model, card(model), {"lda": lda, "unet": SmallUnet(INPUTS)})
    return model.eval(), folder, lda


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the bundle that may be damaged."""
    return shutil.copytree(made[1], tmp_path / "copy")


def reseal(folder):
    """Write the hashes anew, as somebody would who edits a bundle by hand."""
    import hashlib

    plain = json.loads((folder / "bundle.json").read_text())
    plain["files"] = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in plain["files"]}
    (folder / "bundle.json").write_text(json.dumps(plain))


def test_a_loaded_bundle_scores_as_the_model_that_was_saved(made):
    model, folder, _ = made
    x = torch.rand(2, 6, 24, 32)
    bundle = load_bundle(folder)
    with torch.no_grad():
        expected = model(image_batch(x, None, CHANNELS))[:, 0].softmax(dim=1)
    assert torch.allclose(bundle.scores(x), expected, atol=1e-5)
    assert bundle.channels == CHANNELS and bundle.classes == CLASSES
    assert not any(p.requires_grad for p in bundle.model.parameters())


def test_the_fitted_baselines_travel_with_it(made):
    bundle = load_bundle(made[1])
    found = load_baselines(bundle)
    assert set(found) == {"rule", "lda", "unet"}
    assert torch.equal(found["lda"].weight, made[2].weight)


def test_a_bundle_holds_no_pickle_and_names_every_file(made):
    folder = made[1]
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {p.rpartition(".")[2] for p in files} <= {"json", "safetensors", "md"}
    assert files - set(json.loads((folder / "bundle.json").read_text())["files"]) == {"bundle.json", "README.md"}


def test_a_changed_byte_is_found_and_the_file_named(copy):
    raw = bytearray((copy / "head.safetensors").read_bytes())
    raw[-3] ^= 1
    (copy / "head.safetensors").write_bytes(raw)
    with pytest.raises(GeoadaptError, match=r"head\.safetensors: has changed since the bundle was written"):
        load_bundle(copy)


def test_a_missing_file_is_named(copy):
    (copy / "adapter" / "adapter_model.safetensors").unlink()
    with pytest.raises(GeoadaptError, match=r"adapter_model\.safetensors: is missing from the bundle"):
        load_bundle(copy)


def test_another_backbone_of_the_same_shape_is_refused_by_its_fingerprint(copy):
    plain = json.loads((copy / "bundle.json").read_text())
    plain["backbone"]["seed"] = 4
    (copy / "bundle.json").write_text(json.dumps(plain))
    with pytest.raises(GeoadaptError, match="was trained on backbone random weights, seed 3 .* the one at hand is"):
        load_bundle(copy)
    assert load_bundle(copy, allow_mismatch=True).classes == CLASSES


def test_a_missing_key_is_named_and_nothing_is_loaded(copy):
    state = load_file(copy / "head.safetensors")
    state.pop("classify.bias")
    save_file(state, copy / "head.safetensors")
    reseal(copy)
    with pytest.raises(GeoadaptError, match=r"classify\.bias"):
        load_bundle(copy)


def test_a_nan_weight_is_refused(copy):
    state = load_file(copy / "head.safetensors")
    state["classify.bias"][1] = float("nan")
    save_file(state, copy / "head.safetensors")
    reseal(copy)
    with pytest.raises(GeoadaptError, match=r"head\.safetensors.*(NaN|not finite)"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "adapter/../../x"])
def test_a_file_outside_the_bundle_is_refused(copy, name):
    plain = json.loads((copy / "bundle.json").read_text())
    plain["files"][name] = "0" * 64
    (copy / "bundle.json").write_text(json.dumps(plain))
    with pytest.raises(GeoadaptError, match="names a file outside the bundle"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("_target_", "os.system", r"backbone\._target_: names code to run"),
        ("weights", "${oc.env:HOME}", "interpolation"),
        ("name", "galileo_nan", "did you mean 'galileo_nano'"),
    ],
)
def test_what_a_card_says_is_plain_data_and_never_run(copy, key, value, said):
    plain = json.loads((copy / "bundle.json").read_text())
    plain["backbone"][key] = value
    (copy / "bundle.json").write_text(json.dumps(plain))
    with pytest.raises(GeoadaptError, match=said):
        load_bundle(copy)


def test_a_folder_that_is_no_bundle_says_what_is_missing(tmp_path):
    with pytest.raises(GeoadaptError, match=r"is no bundle: it has no bundle\.json; name the folder that"):
        load_bundle(tmp_path)


def test_a_file_that_the_card_does_not_name_is_not_trusted(copy):
    plain = json.loads((copy / "bundle.json").read_text())
    plain["files"].pop("head.safetensors")
    (copy / "bundle.json").write_text(json.dumps(plain))
    with pytest.raises(GeoadaptError, match=r"head\.safetensors: is not named in bundle\.json, so its hash is unknown"):
        load_bundle(copy)
    (copy / "bundle.json").write_text(json.dumps({**plain, "files": []}))
    with pytest.raises(GeoadaptError, match=r"bundle\.json: names no files"):
        load_bundle(copy)


def test_the_readme_says_what_was_frozen_and_how_it_decides(made, tmp_path):
    model, folder, _ = made
    text = (folder / "README.md").read_text()
    assert "(frozen), adapter lora" in text and "None" not in text and "reaches" not in text
    tuned = replace(card(model), adapter={"name": "full"}, threshold=0.6, metrics={"test/parameters": 569795.0})
    text = (save_bundle(tmp_path / "b", model, tuned, {}) / "README.md").read_text()
    assert "(fully fine-tuned), adapter full" in text and "569,795" in text
    assert "Cloud where its probability reaches 0.6." in text
