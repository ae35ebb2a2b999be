"""What holds for every section, driven by the registries."""

import pytest
from netwright.compiler.objectives.augmentations import AUGMENTATIONS
from netwright.compiler.objectives.data import Data, Split
from netwright.compiler.objectives.export import Export
from netwright.compiler.objectives.fields import Field, Normalize
from netwright.compiler.objectives.initial_weights import InitFrom
from netwright.compiler.objectives.losses import LOSSES, WeightedLoss
from netwright.compiler.objectives.metrics import METRICS
from netwright.compiler.objectives.optimizers import OPTIMIZERS
from netwright.compiler.objectives.parameter_rules import Freeze, ParameterRule
from netwright.compiler.objectives.registry import OBJECTIVES
from netwright.compiler.objectives.schedules import LR_SCHEDULES, Schedule
from netwright.compiler.objectives.sources import SOURCES, Digits, Idx
from netwright.compiler.objectives.supervised import NetworkUse
from netwright.compiler.objectives.training import Checkpoint, Training
from pydantic import ValidationError

REGISTRIES = [
    AUGMENTATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    OBJECTIVES,
    LR_SCHEDULES,
    SOURCES,
]
SINGLE = [
    Checkpoint,
    Data,
    Export,
    Field,
    Freeze,
    InitFrom,
    NetworkUse,
    Normalize,
    ParameterRule,
    Schedule,
    Split,
    Training,
    WeightedLoss,
]
SECTIONS = [*SINGLE, *(cls for registry in REGISTRIES for cls in registry.values())]


@pytest.mark.parametrize("cls", SECTIONS, ids=lambda cls: cls.__name__)
def test_every_section_and_setting_is_described(cls):
    assert cls.__doc__
    assert cls.__dict__["__doc__"]
    for name, info in cls.model_fields.items():
        assert info.description, f"{cls.__name__}.{name} has no description"
        assert info.description.rstrip().endswith((".", ":")), info.description


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: next(iter(r)))
def test_names_of_a_registry(registry):
    assert all(cls.name == name and f"`{name}`" in cls.title for name, cls in registry.items())


@pytest.mark.parametrize("cls", SECTIONS, ids=lambda cls: cls.__name__)
def test_unknown_keys_are_refused(cls):
    with pytest.raises(ValidationError) as caught:
        cls(no_such_key=1)
    assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}


def test_the_test_split():
    assert Data(source=Digits()).test_fraction == 0.2
    assert Data(source=Digits(), split=Split(test=0.3)).test_fraction == 0.3
    assert Data(source=Idx(train=["a"], test=["b"])).test_fraction == 0.0


def test_a_spec_overrides_what_a_source_knows():
    given = Field(normalize=Normalize(mean=[0.5], std=[0.5]))
    image = Data(source=Digits(), fields={"image": given}).merged_fields()["image"]
    assert image.shape == ["B", 1, 8, 8]
    assert image.scale is None
    assert image.interval() == (-1, 1)


def test_length_of_a_run():
    assert Training(steps=7).total_steps(1000) == 7
    assert Training(epochs=3, batch=32).total_steps(100) == 9
    assert Training(batch=10).total_steps(100) == 100
    assert Training(epochs=2, batch=64).total_steps(5) == 2
