"""The schema for editors: draft-07, accepts what checks, refuses what it can see is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from netwright.compiler import ops  # noqa: F401 - fills the registry
from netwright.compiler.diagnostics import Sink
from netwright.compiler.language.json_schema import json_schema
from netwright.compiler.language.loader import load, read_source
from netwright.compiler.ops.base import REGISTRY

SPECS = Path(__file__).resolve().parents[2] / "specs"
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def document(name: str) -> Any:
    located = load(read_source(SPECS / name), Sink())
    assert located
    return located.data


def test_it_is_a_draft_07_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("name", sorted(path.name for path in SPECS.glob("*.yaml")))
def test_it_accepts_the_zoo(name: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(document(name))] == []


def test_every_operator_is_in_it_with_its_documentation() -> None:
    properties = SCHEMA["definitions"]["layer"]["anyOf"][1]["properties"]
    for name, cls in REGISTRY.items():
        fields = properties[name]["anyOf"][0]["properties"]
        assert {k: v["description"] for k, v in fields.items()} == {
            k: attribute.doc for k, attribute in cls.attributes.items()
        }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("networcks",), {}),
        (("training", "epocs"), 3),
        (("training", "optimizer"), {"adamv": {}}),
        (("training", "optimizer"), {"muon": {"lr": -1}}),
        (("training", "optimizer"), {"adamw": {"lr": {"start": 1}}}),
        (("training", "parameters"), [{"kind": ["biass"], "weight_decay": 0}]),
        (("training", "init_from"), {"pth": "weights.safetensors"}),
        (("training", "steps"), None),
        (("training", "clip_value"), None),
        (("objective",), {"superwised": {}}),
        (("networks", "classifier", "layers", 0), {"conv2d": {"chanels": 3}}),
        (("networks", "classifier", "layers", 0), {"conv3": 3}),
        (("networks", "classifier", "layers", 0), {"linear": {"features": "many"}}),
        (("data", "source"), {"digit": {}}),
        (("spec",), "v2"),
    ],
)
def test_it_refuses_what_is_wrong(path: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(document("digits_cnn.yaml"))
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    assert not VALIDATOR.is_valid(changed)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer", {"muon": {"lr": {"start": 0.1, "end": 0, "steps": 5}, "exclude": "a.fc.**"}}),
        ("optimizer", {"adamw": {"betas": [0.9, {"start": 0.9, "end": 0.99, "steps": 5}]}}),
        ("optimizer", {"sgd": {"lr": "$rate"}}),
        ("parameters", [{"match": "**", "freeze": True}, {"kind": ["bias"], "weight_decay": 0}]),
        ("parameters", [{"match": ["a.**"], "freeze": {"until": 500}, "lr_factor": 0.1}]),
        ("init_from", "weights.safetensors"),
        ("init_from", {"path": "weights.safetensors", "reinitialise": ["fc.**"]}),
    ],
)
def test_it_accepts_what_training_may_say(key: str, value: Any) -> None:
    changed = copy.deepcopy(document("digits_cnn.yaml"))
    changed["training"][key] = value
    assert [error.message for error in VALIDATOR.iter_errors(changed)] == []
