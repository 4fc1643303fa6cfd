from geoadapt.config import CONTROLS as NAMES
from geoadapt.config import PUBLISHED, TrainConfig
from geoadapt.training.controls import CONTROLS


def test_every_control_that_a_configuration_may_name_has_a_builder_and_none_is_hidden():
    assert tuple(CONTROLS) == (*NAMES, *PUBLISHED)


def test_published_models_stand_beside_the_others_only_where_they_are_named():
    assert TrainConfig().chosen_controls() == NAMES
    assert TrainConfig(controls="rule,dl_l8s2_uv").chosen_controls() == ("rule", "dl_l8s2_uv")
