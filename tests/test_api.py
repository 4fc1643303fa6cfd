"""``import geoadapt as ga``: the functions behind the verbs, found when they are used."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import geoadapt as ga


@pytest.mark.parametrize("name", ga.__all__)
def test_every_public_name_is_there_documented_and_typed(name: str) -> None:
    found = getattr(ga, name)
    assert name in dir(ga)
    if callable(found):
        assert found.__doc__
        assert isinstance(found, type) or found.__annotations__["return"]


def test_the_verbs_call_the_same_functions() -> None:
    assert ga.train is import_module("geoadapt.cli.train").train
    assert ga.compose is import_module("geoadapt.cli.train").compose


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = ga.trian


def test_a_job_may_be_given_as_plain_data_or_overrides_and_its_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ga.GeoadaptError, match="backbone: nothing is chosen"):
        ga.train({"seed": 1}, tmp_path)
    with pytest.raises(ga.GeoadaptError, match="did you mean 'train.steps'"):
        ga.train("train.step=1", tmp_path)
