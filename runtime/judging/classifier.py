"""A classifier that judges: the bundle of another spec, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...compiler.diagnostics import Code, NetwrightError, failure
from ...compiler.objectives.fields import Field
from ..bundle import BUNDLE, MANIFEST, Port, is_bundle
from ..files import sha256
from ..runs import is_run
from ..session import Bundle, Device, load, make_session
from .seeing import Seen

if TYPE_CHECKING:
    import onnx

PROGRAM = "predict"

LINEAR = ("Gemm", "MatMul")
"""The nodes that a linear layer becomes; its first input is what it reads."""


class Classifier:
    """Features and classes of samples.

    Features are what the last linear layer reads, as float64 [N, D]; the class is the one with the
    highest score.

    path: of the bundle. name, field: of the samples, which it takes as data holds them.
    """

    def __init__(self, path: Path, name: str, field: Field, device: torch.device) -> None:
        """Raises: NetwrightError: F602: there is no bundle. B801: it is damaged. B802: it is no
        classifier of such samples. R905: ONNX Runtime lacks the device."""
        self.path, self._device = path, device
        bundle = _bundle(path, "cpu" if device.type == "cpu" else "auto")
        self.sha256 = sha256(path / MANIFEST)
        self._input = _input(bundle, name, field)
        self._scores, self._count = _scores(bundle)
        named = bundle.labels.get(self._scores, [])
        self.classes: Sequence[str] = list(named) or [str(i) for i in range(self._count)]
        self._session, self._features = _with_features(bundle, self._scores)

    def __call__(self, raw: Tensor) -> Seen:
        given = {self._input: raw.cpu().numpy()}
        features, scores = self._session.run([self._features, self._scores], given)
        flat = torch.from_numpy(features).flatten(1).to(self._device, torch.float64)
        return Seen(flat, torch.from_numpy(np.argmax(scores, 1)))


def _bundle(path: Path, device: Device) -> Bundle:
    if is_bundle(path):
        return load(path, device)
    step = "paths are relative to the data's folder, which `--data-dir` names"
    if is_run(path):
        known = is_bundle(path / BUNDLE)
        step = f"name `{path / BUNDLE}`" if known else f"make one: `netwright export {path}`"
    raise failure(
        Code.F602, f"`judge` expects the bundle of a classifier, found none in `{path}`", help=step
    )


def _refused(bundle: Bundle, message: str, step: str) -> NetwrightError:
    place = f"in the bundle `{bundle.folder}`, by which samples are judged"
    return failure(Code.B802, f"{message} {place}", help=step)


def _input(bundle: Bundle, name: str, field: Field) -> str:
    """The input of `predict`, which must take samples of the field."""
    if PROGRAM not in bundle.programs:
        raise _refused(bundle, f"expected a program `{PROGRAM}`, found none", "name a classifier's")
    ports = bundle.program(PROGRAM).inputs
    wanted = Port(dtype=field.dtype or "float32", shape=list(field.shape or []))
    if len(ports) != 1:
        found = ", ".join(f"`{port}`" for port in ports)
        raise _refused(
            bundle, f"expected one input, found {found}", "name the bundle of another classifier"
        )
    ((port_name, port),) = ports.items()
    if port.dtype != wanted.dtype or not _takes(port, wanted):
        raise _refused(
            bundle,
            f"expected an input for `{name}` {wanted}, found `{port_name}` {port}",
            f"name a classifier that was trained on data whose samples are stored like `{name}`",
        )
    return port_name


def _takes(port: Port, wanted: Port) -> bool:
    """Whether sizes agree, as far as both are numbers."""
    if len(port.shape) != len(wanted.shape):
        return False
    pairs = zip(port.shape[1:], wanted.shape[1:], strict=True)
    return all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def _scores(bundle: Bundle) -> tuple[str, int]:
    """The output with a score for each class, and how many there are."""
    for name, port in bundle.program(PROGRAM).outputs.items():
        if len(port.shape) == 2 and isinstance(port.shape[1], int) and port.shape[1] > 1:
            return name, port.shape[1]
    found = ", ".join(f"`{n}` {p}" for n, p in bundle.program(PROGRAM).outputs.items())
    raise _refused(
        bundle,
        f"expected scores [B, classes] from `{PROGRAM}`, found {found}",
        "name the bundle of a classifier",
    )


def _with_features(bundle: Bundle, scores: str) -> tuple[Any, str]:
    """A session that gives the features, too. Returns: it, and what it calls them."""
    import onnx

    model = onnx.load(bundle.folder / bundle.manifest.programs[PROGRAM].file)
    node = _last_linear(model.graph, scores)
    if node is None:
        raise _refused(
            bundle,
            f"expected a linear layer that makes `{scores}`, found none",
            "name the bundle of a classifier that ends in `linear`",
        )
    features = node.input[0]
    if features not in {value.name for value in model.graph.input}:
        model.graph.output.append(onnx.ValueInfoProto(name=features))
    return make_session(model.SerializeToString(), bundle.device), features


def _last_linear(graph: onnx.GraphProto, output: str) -> onnx.NodeProto | None:
    """The last layer with a trained matrix on the way to an output."""
    weights = {tensor.name for tensor in graph.initializer}
    makers: dict[str, onnx.NodeProto] = {n: node for node in graph.node for n in node.output}
    node = makers.get(output)
    while node is not None:
        if node.op_type in LINEAR and node.input[1] in weights:
            return node
        node = next((makers[name] for name in node.input if name in makers), None)
    return None
