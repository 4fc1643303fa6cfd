from geoadapt.config import CONTROLS as NAMES
from geoadapt.training.controls import CONTROLS


def test_every_control_that_a_configuration_may_name_has_a_builder_and_none_is_hidden():
    assert tuple(CONTROLS) == tuple(NAMES)
