"""`init_from`: stored weights, found by their names and put into networks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from netwright.compiler.diagnostics import NetwrightError
from netwright.compiler.driver import compile_spec
from netwright.compiler.language.params import Choices
from netwright.compiler.objectives.initial_weights import InitFrom
from netwright.compiler.render import render
from netwright.runtime import checkpoint
from netwright.runtime.export import export_run
from netwright.runtime.files import sha256
from netwright.runtime.generated import build_networks
from netwright.runtime.initial_weights.initialise import Report, find, initialise
from netwright.runtime.train import TrainResult
from safetensors.torch import save_file
from torch import Tensor, nn

from ..torch_tools import compiled
from .tiny import SMALL

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = Path(__file__).parent / "messages"
COMPILATION = compiled(SMALL)
PAIR = compiled(SMALL + SMALL.removeprefix("networks:\n").replace("net:", "other:"))

Change = Callable[[dict[str, Tensor]], dict[str, Tensor]]


def built(compilation=COMPILATION, seed: int = 0) -> dict[str, nn.Module]:
    torch.manual_seed(seed)
    return build_networks(compilation.source, compilation.graphs)


def state() -> dict[str, Tensor]:
    """A state dict other than the one that `built` draws."""
    weights = built(seed=1)["net"].state_dict()
    weights["bn.running_mean"] += 1
    return {name: tensor.clone() for name, tensor in weights.items()}


def settings(path: object = "weights.safetensors", **more) -> InitFrom:
    return InitFrom(**InitFrom.desugar({"path": str(path), **more}))


def load(folder: Path, weights: dict[str, Tensor], compilation=COMPILATION, **more):
    """Networks after `init_from` of a file with the weights."""
    save_file(weights, folder / "weights.safetensors")
    networks = built(compilation)
    match = find(settings(**more), compilation.graphs, folder)
    return networks, initialise(match, networks)


def same(module: nn.Module, weights: dict[str, Tensor], *but: str) -> bool:
    own = module.state_dict()
    return all(torch.equal(own[name], weights[name]) for name in own if name not in but)


def lines(report: Report, folder: Path) -> list[str]:
    return [line.replace(str(folder), "<here>") for line in report.lines()]


def test_a_state_dict_is_taken_as_it_is(tmp_path: Path) -> None:
    networks, report = load(tmp_path, state())
    assert same(networks["net"], state())
    assert lines(report, tmp_path) == [
        "initial weights: 8 of 8 tensors of `net` from <here>/weights.safetensors"
    ]
    record = report.record()
    assert record["sha256"] == sha256(tmp_path / "weights.safetensors")
    assert record == json.loads(json.dumps(record))


def test_published_weights_train_on_with_another_head(tmp_path: Path) -> None:
    """torchvision's names for 1,000 classes, in the zoo's ResNet-18 for 10."""
    shapes = json.loads((ROOT / "tests/fixtures/torchvision/resnet18.json").read_text())
    generator = torch.Generator().manual_seed(0)
    published = {
        name: torch.tensor(7) if not shape else torch.randn(shape, generator=generator)
        for name, shape in shapes.items()
    }
    chosen = Choices(values={"classes": "10"})
    compilation = compile_spec(ROOT / "specs" / "resnet18.yaml", chosen)
    networks, report = load(tmp_path, published, compilation, reinitialise="fc.**")
    fresh = build_fresh(compilation)
    assert same(networks["classifier"], published, "fc.weight", "fc.bias")
    assert torch.equal(networks["classifier"].get_parameter("fc.weight"), fresh["fc.weight"])
    assert lines(report, tmp_path) == [
        "initial weights: 120 of 122 tensors of `classifier` from <here>/weights.safetensors",
        "  start anew: `classifier.fc.weight`, `classifier.fc.bias`",
    ]


def build_fresh(compilation) -> dict[str, Tensor]:
    return built(compilation)["classifier"].state_dict()


def test_prefix_under_and_extra_tensors(tmp_path: Path) -> None:
    weights = {f"model.{name}": tensor for name, tensor in state().items()}
    networks, _ = load(tmp_path, {**weights, "optimizer.step": torch.ones(1)}, prefix="model")
    assert same(networks["net"], state())

    head = {name.removeprefix("fc."): t for name, t in state().items() if name.startswith("fc.")}
    networks, report = load(tmp_path, head, under="fc")
    assert torch.equal(networks["net"].get_parameter("fc.weight"), head["weight"])
    assert report.record()["taken"] == 2
    assert not report.record()["fresh"]


def test_what_is_not_strict_takes_what_fits(tmp_path: Path) -> None:
    weights = state()
    del weights["fc.bias"]
    weights["head.weight"] = torch.ones(3)
    networks, report = load(tmp_path, weights, strict=False)
    assert same(networks["net"], weights, "fc.bias")
    assert lines(report, tmp_path)[1:] == [
        "  start anew: `net.fc.bias`",
        "  not used: `head.weight`",
    ]


def test_patterns_name_tensors_of_the_file_too(tmp_path: Path) -> None:
    """A head that is built otherwise: neither its own tensors nor the stored ones are asked for."""
    weights = {name.replace("fc.", "fc.1."): tensor for name, tensor in state().items()}
    networks, _ = load(tmp_path, weights, reinitialise=["fc.**"])
    assert same(networks["net"], state(), "fc.weight", "fc.bias")


def test_reinitialise_takes_the_patterns_of_parameters_too(tmp_path: Path) -> None:
    """`net.fc.**` with the network's name, as `parameters: match:` wants it."""
    weights = reshaped(state())
    _, plain = load(tmp_path, weights, reinitialise=["fc.**"])
    _, whole = load(tmp_path, weights, reinitialise=["net.fc.**"])
    assert plain.record() == whole.record()
    assert whole.record()["fresh"] == ["net.fc.weight", "net.fc.bias"]


def test_old_files_lack_the_counter_of_batch_norm(tmp_path: Path) -> None:
    weights = state()
    del weights["bn.num_batches_tracked"]
    networks, _ = load(tmp_path, weights)
    assert same(networks["net"], state())


def test_several_networks_from_one_file(tmp_path: Path) -> None:
    weights = {
        f"{net}.{k}": t * s for net, s in (("net", 1), ("other", 2)) for k, t in state().items()
    }
    networks, _ = load(tmp_path, weights, PAIR)
    assert same(networks["net"], state())
    assert torch.equal(
        networks["other"].state_dict()["bn.running_mean"], weights["other.bn.running_mean"]
    )

    networks, report = load(tmp_path, state(), PAIR, network="other")
    assert same(networks["other"], state())
    assert same(networks["net"], built(PAIR)["net"].state_dict())
    assert list(report.match.taken) == ["other"]


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (torch.float16, "float16 became float32: 2 tensors"),
        (torch.bfloat16, "bfloat16 became float32: 2 tensors"),
        (torch.float64, "float64 was rounded to float32: 2 tensors"),
    ],
)
def test_other_element_types(tmp_path: Path, dtype: torch.dtype, words: str) -> None:
    weights = state()
    for name in ("fc.weight", "fc.bias"):
        weights[name] = torch.randn(weights[name].shape, dtype=torch.float64).to(dtype)
    weights["bn.num_batches_tracked"] = torch.tensor(3, dtype=torch.int32)
    networks, report = load(tmp_path, weights)
    found = networks["net"].get_parameter("fc.weight")
    assert torch.equal(found, weights["fc.weight"].float())
    assert f"  {words}" in lines(report, tmp_path)
    assert "  int32 became int64: 1 tensors" in lines(report, tmp_path)


def test_memory_format_stays(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "weights.safetensors")
    networks = {"net": built()["net"].to(memory_format=torch.channels_last)}
    before = networks["net"].get_parameter("conv.weight").stride()
    initialise(find(settings(), COMPILATION.graphs, tmp_path), networks)
    assert networks["net"].get_parameter("conv.weight").stride() == before
    assert same(networks["net"], state())


def test_a_run_and_a_bundle_are_sources(finished: TrainResult, tmp_path: Path) -> None:
    spec = compile_spec(finished.folder / "spec.yaml")
    step = json.loads((finished.folder / "summary.json").read_text())["step"]
    trained = checkpoint.load_weights(finished.folder, step)["classifier"]
    bundle = export_run(finished.folder, output=tmp_path / "bundle", with_weights=True).folder
    for source in (finished.folder, bundle):
        networks = built(spec)
        report = initialise(find(settings(source), spec.graphs, Path()), networks)
        assert same(networks["classifier"], trained)
        assert len(report.record()["sha256"]) == 64


# What a user reads


def reshaped(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**weights, "fc.weight": torch.zeros(7, 12), "fc.bias": torch.zeros(7)}


def lacking(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {"head.weight": torch.ones(1), **{k: t for k, t in weights.items() if k[:2] != "fc"}}


MESSAGES: dict[str, tuple[Change, dict[str, object]]] = {
    "f603_shape": (reshaped, {}),
    "f603_type": (lambda weights: {**weights, "fc.bias": torch.ones(4, dtype=torch.bool)}, {}),
    "f603_missing": (lacking, {}),
    "f603_prefix": (lambda weights: {f"module.{k}": t for k, t in weights.items()}, {}),
    "f603_too_much_prefix": (lambda weights: weights, {"prefix": "module"}),
    "f603_pattern": (reshaped, {"reinitialise": ["fd.**"]}),
    "f603_finite": (lambda weights: {**weights, "fc.bias": torch.full((4,), torch.nan)}, {}),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name: str, golden: Callable[[Path, str], None], tmp_path: Path) -> None:
    change, more = MESSAGES[name]
    with pytest.raises(NetwrightError) as caught:
        load(tmp_path, change(state()), **more)
    assert {d.code.name for d in caught.value.diagnostics} == {"F603"}
    text = render(list(caught.value.diagnostics), "text").replace(str(tmp_path), "<here>")
    golden(GOLDENS / f"{name}.txt", text)


def missing(folder: Path, bundle: Path) -> Path:
    return folder / "weights.safetensors"


def pickled(folder: Path, bundle: Path) -> Path:
    torch.save({"a": torch.ones(1)}, folder / "resnet18.pth")
    return folder / "resnet18.pth"


def damaged(folder: Path, bundle: Path) -> Path:
    save_file(state(), folder / "weights.safetensors")
    content = (folder / "weights.safetensors").read_bytes()
    (folder / "weights.safetensors").write_bytes(content[:-9])
    return folder / "weights.safetensors"


def plain_folder(folder: Path, bundle: Path) -> Path:
    return folder


def bundle_without_weights(folder: Path, bundle: Path) -> Path:
    return shutil.copytree(bundle, folder / "bundle")


@pytest.mark.parametrize(
    "case",
    [missing, pickled, damaged, plain_folder, bundle_without_weights],
    ids=lambda c: c.__name__,
)
def test_sources_that_cannot_be_read(
    case, golden: Callable[[Path, str], None], tmp_path: Path, bundle: Path
) -> None:
    path = case(tmp_path, bundle)
    with pytest.raises(NetwrightError) as caught:
        find(settings(path), COMPILATION.graphs, Path())
    assert {d.code.name for d in caught.value.diagnostics} == {"F602"}
    text = render(list(caught.value.diagnostics), "text").replace(str(tmp_path), "<here>")
    golden(GOLDENS / f"f602_weights_{case.__name__}.txt", re.sub(r"\d+ bytes", "N bytes", text))
