"""The zoo: its specs are without remarks, and they are the networks that they say they are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from netwright.compiler.backends.onnx_model import build_model, save_model
from netwright.compiler.driver import Compilation, check
from netwright.compiler.ir.dims import evaluate
from netwright.compiler.ir.graph import Graph, Value
from netwright.compiler.language.formatter import format_source
from netwright.compiler.language.loader import read_source
from netwright.compiler.objectives.id_room import lookups
from netwright.compiler.passes.pipeline import run_passes
from netwright.compiler.render import render
from netwright.runtime.generated import build_networks, by_name
from torch import nn

from tests.onnx_tools import run_proto
from tests.zoo import (
    FIXTURES,
    LARGE,
    LIBRARIES,
    SPECS,
    TORCHVISION,
    Arrays,
    borrows,
    compiled,
    filled,
    is_recurrent,
    torchvision_shapes,
    waves,
)

SIZES = (
    {"B": 2, "H": 64, "W": 32, "T": 7},
    {"B": 3, "H": 32, "W": 48, "T": 20},
    {"B": 2, "H": 32, "W": 64, "T": 100},
)
"""Sizes at which torch and ONNX Runtime are compared."""

RECORDED = [path.stem for path in TORCHVISION.glob("*.json") if path.stem != "outputs"]
"""Networks whose state dicts in torchvision are recorded."""

PARAMETERS = {
    ("alexnet", None): 61_100_840,
    ("anomaly_digits", None): 171_088,
    ("autoencoder_fashion", None): 210_224,
    ("beta_vae_digits", None): 172_628,
    ("bilstm_tagger", None): 11_092,
    ("char_lstm", None): 374_668,
    ("conditional_gan_digits", None): 191_585,
    ("conditional_vae_digits", None): 107_336,
    ("conv_vae_fashion", None): 916_833,
    ("convnext_tiny", None): 28_589_128,
    ("dcgan_64", None): 6_342_272,
    ("dcgan_fashion", None): 570_432,
    ("denoising_fashion", None): 89_089,
    ("digits_cnn", None): 53_362,
    ("fashion_cnn", None): 421_738,
    ("gan_ring", None): 67_203,
    ("gru_adding", None): 13_121,
    ("gru_forecast", None): 3_723,
    ("lenet5", "borderless"): 44_426,
    ("lenet5", None): 61_706,
    ("lstm_adding", None): 17_473,
    ("lstm_fashion_rows", None): 82_186,
    ("mlp_vae", None): 652_824,
    ("mobilenet_v2", None): 3_504_872,
    ("progressive_fashion", None): 288_563,
    ("r3gan_fashion", None): 659_842,
    ("resnet18", None): 11_689_512,
    ("resnet34", None): 21_797_672,
    ("resnet50", None): 25_557_032,
    ("rnn_adding", None): 4_417,
    ("seq2seq_reverse", None): 51_597,
    ("sngan_fashion", None): 347_682,
    ("tcn_classifier", None): 28_458,
    ("transformer_char", None): 375_020,
    ("unet", None): 31_030_658,
    ("vgg16_bn", "vgg11"): 132_863_336,
    ("vgg16_bn", "vgg16"): 138_357_544,
    ("vgg16_bn", "vgg19_bn"): 143_678_248,
    ("vgg16_bn", None): 138_365_992,
    ("vq_vae_fashion", None): 99_377,
    ("wgan_clip_fashion", None): 244_274,
    ("wgan_gp_fashion", None): 570_402,
}
"""Trained numbers by spec and variant, as papers and public repositories have them."""

PUBLISHED = {
    **{name: (name, None) for name in sorted({n for n, _ in PARAMETERS} & set(RECORDED))},
    "vgg11": ("vgg16_bn", "vgg11"),
    "vgg16": ("vgg16_bn", "vgg16"),
}
"""torchvision's name -> spec and variant."""

LOGITS: dict[str, list[list[float]]] = json.loads((TORCHVISION / "outputs.json").read_text())

LOGIT_TOLERANCE = 1e-5
"""How far float32 logits may be from torchvision's in float64."""

PARITY_TOLERANCE = 1e-5
"""How far torch and ONNX Runtime may differ, relative to the largest output."""

LEAST_SCALE = 0.1
"""What smaller outputs are taken for there."""


def stem(path: Path) -> str:
    return path.stem


# What a user sees


@pytest.mark.parametrize("path", SPECS, ids=stem)
def test_a_spec_is_without_remarks(path: Path) -> None:
    compilation = check(path)
    assert not compilation.diagnostics, render(compilation.diagnostics, "text")
    assert compilation.programs


@pytest.mark.parametrize("path", SPECS, ids=stem)
def test_a_spec_is_named_like_its_file_and_says_what_it_is(path: Path) -> None:
    spec = compiled(path).spec
    assert spec.name == path.stem
    assert spec.summary


@pytest.mark.parametrize("path", [*SPECS, *LIBRARIES], ids=stem)
def test_a_file_is_formatted(path: Path) -> None:
    source = read_source(path)
    assert format_source(source) == source.text


@pytest.mark.parametrize("path", SPECS, ids=stem)
def test_a_spec_expects_the_parameters_of_every_network(path: Path) -> None:
    compilation = compiled(path)
    expected = compilation.located.data["expect"]["parameters"]
    assert expected.keys() == compilation.graphs.keys()


@pytest.mark.parametrize(
    "path", [p for p in SPECS if "classes" in compiled(p).spec.params], ids=stem
)
def test_another_number_of_classes_needs_no_other_change(path: Path, tmp_path: Path) -> None:
    """A copied spec goes on working, its `expect` included, when only the parameter is edited."""
    text = re.sub(r"classes: \d+", "classes: 7", path.read_text(encoding="utf-8"), count=1)
    copy = tmp_path / path.name
    copy.write_text(text, encoding="utf-8")
    compilation = check(copy)
    assert not compilation.diagnostics, render(compilation.diagnostics, "text")
    assert compilation.spec.params["classes"] == 7


# What the networks are


def test_every_spec_and_variant_has_a_known_count() -> None:
    known = {(path.stem, None) for path in SPECS}
    for path in SPECS:
        known |= {(path.stem, name) for name in compiled(path).located.data.get("variants", {})}
    assert PARAMETERS.keys() == known


@pytest.mark.parametrize(("name", "variant"), PARAMETERS)
def test_the_number_of_parameters(name: str, variant: str | None) -> None:
    graphs = compiled(name, variant).graphs.values()
    assert sum(graph.parameter_count() for graph in graphs) == PARAMETERS[name, variant]


def test_every_recorded_state_dict_is_compared() -> None:
    assert sorted(PUBLISHED) == sorted(RECORDED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_are_those_of_torchvision(name: str) -> None:
    compilation = compiled(*PUBLISHED[name])
    shapes = torchvision_shapes(name)
    declared = compilation.graphs["classifier"].tensors()
    assert {key: list(tensor.shape) for key, tensor in declared.items()} == shapes
    state = on_no_device(compilation, "classifier").state_dict()
    assert [(key, list(tensor.shape)) for key, tensor in state.items()] == list(shapes.items())


@pytest.mark.parametrize("path", SPECS, ids=stem)
def test_the_module_has_the_declared_tensors(path: Path) -> None:
    compilation = compiled(path)
    for name, graph in compilation.graphs.items():
        state = on_no_device(compilation, name).state_dict()
        declared = {key: list(tensor.shape) for key, tensor in graph.tensors().items()}
        assert {key: list(tensor.shape) for key, tensor in state.items()} == declared


# What the networks compute


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is gone after the test: some files are hundreds of megabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in LOGITS]
)
def test_logits_are_those_of_torchvision(name: str, folder: Path) -> None:
    compilation = compiled(name)
    graph = compilation.graphs["classifier"]
    weights = filled(torchvision_shapes(name))
    network = with_weights(compilation, "classifier", weights)
    model = exported(graph, weights, folder)
    image = waves(2 * 3 * 224 * 224, 0.013).reshape(2, 3, 224, 224)
    in_torch, in_onnx = both(network, model, graph, image)
    expected = np.array(LOGITS[name])
    assert np.abs(in_torch[:, :5] - expected).max() <= LOGIT_TOLERANCE
    assert np.abs(in_onnx[:, :5] - expected).max() <= LOGIT_TOLERANCE
    assert difference(in_torch, in_onnx) <= PARITY_TOLERANCE
    height, width = (224, 224) if graph.inputs[0].type.shape[2] == 224 else (64, 96)
    again = image[:1, :, :height, :width].copy()
    assert difference(*both(network, model, graph, again)) <= PARITY_TOLERANCE


COMPARED = [
    path
    for path in SPECS
    if path.stem not in LOGITS and not any(map(is_recurrent, compiled(path).graphs.values()))
]
"""Specs that are compared here; those with recurrent layers are in test_recurrent_programs.py."""


@pytest.mark.parametrize("path", COMPARED, ids=stem)
def test_torch_and_onnx_agree(path: Path, folder: Path) -> None:
    compilation = compiled(path)
    for name, graph in compilation.graphs.items():
        if borrows(graph):  # tests/test_specs.py exports it with the other network
            continue
        weights = filled({key: list(p.shape) for key, p in graph.tensors().items()})
        network = with_weights(compilation, name, weights)
        model = exported(graph, weights, folder)
        for sizes in SIZES:
            x = [input_of(graph, port, sizes) for port in graph.inputs]
            assert difference(*both(network, model, graph, *x)) <= PARITY_TOLERANCE


def input_of(graph: Graph, port: Value, sizes: Mapping[str, int]) -> np.ndarray:
    """Waves for numbers, and ids that the network has room for."""
    shape = tuple(evaluate(size, sizes) for size in port.type.shape)
    x = waves(int(np.prod(shape)), 0.013).reshape(shape)
    if port.type.dtype.is_float:
        return x
    room, _ = lookups(graph)[port.name]
    return (np.abs(x) * (room - 1)).astype(np.int64)


def on_no_device(compilation: Compilation, name: str) -> nn.Module:
    """A network whose tensors have shapes and no numbers, which costs no time."""
    with torch.device("meta"):
        return build_networks(compilation.source, [name])[name]


def with_weights(compilation: Compilation, name: str, weights: Arrays) -> nn.Module:
    network = on_no_device(compilation, name)
    tensors = {key: torch.from_numpy(array) for key, array in weights.items()}
    network.load_state_dict(tensors, assign=True)
    return network.eval()


def exported(graph: Graph, weights: Mapping[str, np.ndarray], folder: Path) -> Path:
    """The network as an ONNX file, after the passes."""
    model = build_model(*run_passes(graph, weights))
    assert "BatchNormalization" not in {node.op_type for node in model.graph}
    path = folder / f"{graph.name}.onnx"
    save_model(model, path)
    return path


def both(
    network: nn.Module, model: Path, graph: Graph, *inputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The network's first output in torch and in ONNX Runtime."""
    with torch.inference_mode():
        made = by_name(network(*map(torch.from_numpy, inputs)), graph.outputs)
    given = {value.name: x for value, x in zip(graph.inputs, inputs, strict=True)}
    first = next(iter(graph.outputs))
    return made[first].numpy(), run_proto(str(model), given)[first]


def difference(expected: np.ndarray, actual: np.ndarray) -> float:
    """The largest difference, relative to the largest output.

    Or to `LEAST_SCALE`: one score of a few samples may lie near 0 by chance, and is no scale.
    """
    assert expected.shape == actual.shape
    return float(np.abs(expected - actual).max() / max(np.abs(expected).max(), LEAST_SCALE))


# Specs of other families


FAMILIES = {
    "conv_vae": {"encoder": 830_112, "decoder": 86_625},
    "ddpm_unet": {"unet": 3_969_347},
    "gru_classifier": {"classifier": 1_718_276},
    "residual_cnn": {"classifier": 326_442},
    "sn_gan": {"generator": 1_489_475, "discriminator": 662_977},
}
"""Trained numbers of the networks of the specs in fixtures/specs."""


@pytest.mark.parametrize("name", FAMILIES)
def test_networks_of_other_families_check(name: str) -> None:
    compilation = check(FIXTURES / "specs" / f"{name}.yaml", networks_only=True)
    assert not compilation.diagnostics, render(compilation.diagnostics, "text")
    counts = {key: graph.parameter_count() for key, graph in compilation.graphs.items()}
    assert counts == FAMILIES[name]


@pytest.mark.parametrize("name", ["gru_classifier", "residual_cnn"])
def test_specs_of_pairs_check_in_full(name: str) -> None:
    compilation = check(FIXTURES / "specs" / f"{name}.yaml")
    assert not compilation.diagnostics, render(compilation.diagnostics, "text")
    assert compilation.programs


def test_the_gan_of_images_checks_in_full(tmp_path: Path) -> None:
    text = (FIXTURES / "specs" / "sn_gan.yaml").read_text(encoding="utf-8")
    spec = tmp_path / "sn_gan.yaml"
    spec.write_text(text.replace("{path: faces32}", "{path: faces32, size: 32, labels: none}"))
    compilation = check(spec)
    assert not compilation.diagnostics, render(compilation.diagnostics, "text")
    assert list(compilation.programs) == ["generate", "discriminate"]
