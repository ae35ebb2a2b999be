"""Generated PyTorch: classes, state-dict names, and what the modules compute."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from netwright.compiler.backends.torch_source import generate
from netwright.compiler.diagnostics import Code, NetwrightError
from netwright.compiler.driver import check
from netwright.compiler.ir.builder import GraphBuilder
from netwright.compiler.ir.graph import Graph
from netwright.compiler.ir.shapes import parse_type
from netwright.compiler.language.arguments import build
from netwright.compiler.ops.base import REGISTRY, Example, Op
from netwright.compiler.reserved import MODULE_ATTRIBUTES
from torch import Tensor, nn

from tests.conftest import Golden
from tests.onnx_tools import op
from tests.torch_tools import compiled, network, same

GOLDENS = Path(__file__).parent
ZOO = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))

RESIDUAL = """
blocks:
  Residual:
    params: {channels: int, stride: {type: int, default: 1}}
    inputs: {x: {shape: [B, C, H, W]}}
    layers:
      - {id: conv1, conv2d: {channels: $channels, kernel: 3, stride: $stride, bias: false}}
      - {id: bn1, batch_norm: {}}
      - relu
      - {id: main, conv2d: {channels: $channels, kernel: 3}}
      - {id: skip, from: x, conv2d: {channels: $channels, kernel: 1, stride: $stride},
         when: $(C != channels)}
      - {from: [main, skip], add: {}}
      - relu
networks:
  classifier:
    inputs: {image: {shape: [B, 3, 8, 8]}}
    layers:
      - {id: stem, conv2d: {channels: 4, kernel: 3}}
      - {id: stage1, Residual: {channels: 4}, repeat: 3}
      - {id: stage2, Residual: {channels: 8, stride: 2}}
      - global_avg_pool
      - {id: head, linear: 5}
    outputs: logits
"""


class Residual(nn.Module):
    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.main = nn.Conv2d(channels, channels, 3, 1, 1)
        if inputs != channels:
            self.skip = nn.Conv2d(inputs, channels, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        main = self.main(torch.relu(self.bn1(self.conv1(x))))
        return torch.relu(main + (self.skip(x) if hasattr(self, "skip") else x))


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 1, 1)
        self.stage1 = nn.Sequential(*(Residual(4, 4) for _ in range(3)))
        self.stage2 = Residual(4, 8, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.stage2(self.stage1(self.stem(image))).mean((2, 3)))


def classes(source: str) -> list[str]:
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]


def test_a_file_reads_as_if_written_by_hand(golden: Golden) -> None:
    golden(GOLDENS / "residual.py.txt", compiled(RESIDUAL).source)


def test_a_residual_network_computes_what_the_handwritten_one_does() -> None:
    assert same(network(RESIDUAL), Classifier(), torch.randn(2, 3, 8, 8))


LONG_REPEATS = {
    "a layer": ["{prelu: {init: 0.12345678901234567}}"],
    "two layers": ["{conv2d: {channels: 4, kernel: 3}}", "relu"],
    "a block": ["{conv2d: {channels: 4, kernel: 3, bias: false}}", "batch_norm", "relu"],
}


@pytest.mark.parametrize("layers", LONG_REPEATS.values(), ids=LONG_REPEATS)
@pytest.mark.parametrize(
    "name", ["a", "a_name_of_some_length", "a_name_of_twenty_four_or_more_letters"]
)
def test_a_repeat_that_fills_several_lines(layers: list[str], name: str, tmp_path: Path) -> None:
    """A generator takes no comma behind it, where other arguments that are cut do."""
    inner = "".join(f"          - {layer}\n" for layer in layers)
    source = compiled(
        f"""
networks:
  net:
    inputs: {{x: {{shape: [B, 4, 8, 8]}}}}
    layers:
      - id: {name}
        repeat: 12
        layers:
{inner}
    outputs: y
"""
    ).source
    assert "for _ in range(12)" in source
    assert_formatted(source, folder=tmp_path)


def test_instances_of_a_block_share_one_class() -> None:
    source = compiled(RESIDUAL).source
    assert classes(source) == ["Residual", "Classifier"]
    assert "Residual(8, stride=2, skip=True)" in source
    assert "nn.Sequential(*(Residual(4) for _ in range(3)))" in source


def test_numbers_that_differ_become_arguments() -> None:
    source = compiled("""
blocks:
  Mlp:
    params: {hidden: int, out: int}
    inputs: {x: {shape: [B, C]}}
    layers: [{linear: $hidden}, {mul: $(hidden * 0.5)}, {linear: $(4 * hidden)}, {linear: $out}]
networks:
  net:
    inputs: {x: {shape: [B, 6]}}
    layers: [{Mlp: {hidden: 3, out: 7}}, {Mlp: {hidden: 5, out: 7}}]
    outputs: y
""").source
    signature = "def __init__(self, in_features: int, hidden: int, mul_0_value: float) -> None:"
    assert signature in source
    assert "nn.Linear(hidden, hidden * 4)" in source
    assert "nn.Linear(hidden * 4, 7)" in source
    assert "x = x * self.mul_0_value" in source
    assert "Mlp(6, 3, mul_0_value=1.5)" in source


def test_an_optional_layer_is_left_out_by_a_flag() -> None:
    """MobileNet's addition has two inputs: where it is left out, one of them passes through."""
    text = """
blocks:
  Inverted:
    params: {channels: int}
    inputs: {x: {shape: [B, C]}}
    layers:
      - {id: main, linear: $channels}
      - {from: [x, main], add: {}, when: $(C == channels), else: main}
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers: [{id: a, Inverted: {channels: 4}}, {id: b, Inverted: {channels: 2}}]
    outputs: y
"""
    source = compiled(text).source
    assert classes(source) == ["Inverted", "Net"]
    assert "return x + y if self.residual else y" in source
    net, x = network(text), torch.randn(3, 4)
    assert torch.allclose(net(x), net.b.main(x + net.a.main(x)))


def test_a_flag_is_the_parameter_that_decides() -> None:
    text = """
blocks:
  Inner:
    inputs: {x: {shape: [B, C]}, t: {shape: [B, D]}}
    layers: [{from: t, linear: $C}, {from: [prev, x], add: {}}, tanh]
  Outer:
    params: {deep: bool, width: int}
    inputs: {x: {shape: [B, C]}, t: {shape: [B, D]}}
    layers:
      - {id: fc, from: x, linear: {features: $width}}
      - {id: inner, from: {x: fc, t: t}, Inner: {}, repeat: 2, when: $deep, else: fc}
      - {id: gain, scale: {axis: 1}, when: $deep}
networks:
  net:
    inputs: {x: {shape: [B, 4]}, t: {shape: [B, 3]}}
    layers:
      - {id: a, from: {x: x, t: t}, Outer: {deep: true, width: 6}}
      - {id: b, from: {t: t}, Outer: {deep: false, width: 5}}
    outputs: y
"""
    source = compiled(text).source
    assert classes(source) == ["Inner", "Outer", "Net"]
    assert "def __init__(self, in_features: int, deep: bool, width: int) -> None:" in source
    net, x, t = network(text), torch.randn(2, 4), torch.randn(2, 3)
    y = net.a.fc(x)
    for inner in net.a.inner:
        y = torch.tanh(inner.linear_0(t) + y)
    assert torch.allclose(net(x, t), net.b.fc(y * net.a.gain))


def test_different_wiring_makes_different_classes() -> None:
    source = compiled("""
blocks:
  Act:
    params: {soft: bool}
    inputs: {x: {shape: [B, C]}}
    layers:
      - {id: a, linear: $C}
      - {when: $soft, tanh: {}}
      - {when: $(not soft), relu: {}}
networks:
  net:
    inputs: {x: {shape: [B, 4]}}
    layers: [{Act: {soft: true}}, {Act: {soft: false}}, {Act: {soft: false}}]
    outputs: y
""").source
    assert classes(source) == ["Act2", "Act", "Net"]
    assert "The variant that stands at `Act_0`." in source


def test_several_outputs_are_a_named_tuple() -> None:
    text = """
networks:
  encoder:
    inputs: {x: {shape: [B, 4]}}
    layers: [{id: mean, from: x, linear: 2}, {id: spread, from: x, linear: 2}]
    outputs: {mean: mean, logvar: spread}
"""
    encoder = network(text)
    result = encoder(torch.randn(2, 4))
    assert result._fields == ("mean", "logvar")
    assert "mean: Tensor  # f32[B, 2]" in compiled(text).source


ODD = """
blocks:
  Tensor:
    inputs: {x: {shape: [B, C]}}
    layers: [{id: torch, linear: $C}, {id: x_, relu: {}}, {from: [prev, torch], add: {}}]
  F:
    layers: [{id: lambda, linear: 4}, tanh]
networks:
  nn:
    inputs: {input: {shape: [B, 4]}, class: {shape: [B, 4]}}
    layers:
      - {id: print, from: input, Tensor: {}}
      - {id: None, F: {}}
      - {from: [prev, class, input], add: {}}
      - {id: range, linear: 4}
      - {id: math, mul: 2.0}
      - {from: [range, math], add: {}}
    outputs: {return: math, def: prev}
"""


def test_names_of_a_spec_hide_nothing() -> None:
    """Keywords, builtins, and the names that the file itself uses."""
    net = network(ODD)
    x, other = torch.randn(2, 4), torch.randn(2, 4)
    inner = net.print.torch(x)
    y = torch.tanh(net.get_submodule("None.lambda")(inner.relu() + inner))
    y = net.range(y + other + x)
    result = net(x, other)
    assert torch.allclose(result[0], y * 2)
    assert torch.allclose(result[1], y * 3)


def test_an_id_that_pytorch_uses_is_refused() -> None:
    layers = "[{id: train, linear: 2}]"
    text = f"networks: {{n: {{inputs: {{x: {{shape: [B, 4]}}}}, layers: {layers}, outputs: y}}}}"
    with pytest.raises(AssertionError, match="`train` is a method of PyTorch's modules"):
        compiled(text)
    builder = GraphBuilder("net")
    x = builder.input("x", "f32[B, 4]")
    graph = builder.graph(y=builder.add("half", op("linear", features=2), x))
    with pytest.raises(NetwrightError) as refusal:
        generate({"net": graph}, title="", origin="")
    assert refusal.value.diagnostics[0].code is Code.G304


def test_the_refused_ids_are_those_of_pytorch() -> None:
    own = {*dir(nn.Module()), *dir(nn.Sequential())}
    assert {name for name in own if not name.startswith("_")} <= MODULE_ATTRIBUTES


def test_no_text_of_a_spec_is_code() -> None:
    title = 'x"""\nimport os\n# \\" \u202e " + exit() + "'
    graphs = compiled(RESIDUAL).graphs
    source = generate(graphs, title=title, origin='a"""b\n.yaml')
    tree = ast.parse(source)
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert {alias.name for node in imported for alias in node.names} == {"torch.nn.functional"}
    assert "\u202e" not in source


def assert_formatted(*sources: str, folder: Path) -> None:
    """ruff has nothing to change in the sources, and nothing to say of them."""
    for number, source in enumerate(dict.fromkeys(sources)):
        (folder / f"model_{number}.py").write_text(source)
    ruff = shutil.which("ruff") or str(Path(sys.executable).with_name("ruff"))
    for command in (
        ["format", "--diff", "--line-length", "100"],
        ["check", "--line-length", "100", "--select", "E,F,I,N,UP", "--ignore", "N812"],
    ):
        done = subprocess.run(
            [ruff, *command, "--isolated", str(folder)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_zoo_is_formatted_and_needs_torch_alone(tmp_path: Path) -> None:
    sources = []
    for path in ZOO:
        compilation = check(path)
        source = check(path).source
        assert source == compilation.source  # the same text each time
        modules = re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE)
        assert set(modules) <= {"torch", "typing", "collections"}
        sources.append(source)
    assert_formatted(*sources, folder=tmp_path)


def test_lines_stay_short_wherever_the_spec_lies(tmp_path: Path) -> None:
    blocks, networks = RESIDUAL.split("networks:")
    sources = []
    for length in range(1, 90, 8):
        folder = tmp_path / ("a-folder/" * 10)[:length].rstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "parts.yaml").write_text(f"spec: v1\nname: parts\n{blocks}")
        spec = folder / "residual.yaml"
        imports = "spec: v1\nname: residual\nimports: {parts: ./parts.yaml}"
        spec.write_text(f"{imports}\nnetworks:{networks.replace('Residual', 'parts.Residual')}")
        sources.append(check(spec).source)
        assert "parts.yaml" in sources[-1]
    assert_formatted(*sources, folder=tmp_path)


def example_graph(cls: type[Op], example: Example) -> Graph:
    """A network with one layer."""
    builder = GraphBuilder("net")
    given: list[str | None] = []
    for port in cls.ports:
        types = example.types.get(port.name)
        given += types if isinstance(types, list) else [types]
    values = [
        builder.input(f"in_{place}", parse_type(text, example.symbols)) if text else None
        for place, text in enumerate(given)
    ]
    made = builder.add_n("layer", build(cls, yaml.safe_load(example.arguments)), *values)
    return builder.graph(**{f"out_{place}": value for place, value in enumerate(made)})


def test_every_operator_is_formatted(tmp_path: Path) -> None:
    graphs = [example_graph(cls, example) for cls in REGISTRY.values() for example in cls.examples]
    sources = [generate({"net": graph}, title="A layer.", origin="test") for graph in graphs]
    assert_formatted(*sources, folder=tmp_path)


def test_resnet50_has_one_block_class() -> None:
    (path,) = (path for path in ZOO if path.stem == "resnet50")
    source = check(path).source
    names = ["RescaleChannels", "Bottleneck", "Classifier", "PredictOutput", "Predict"]
    assert classes(source) == names
