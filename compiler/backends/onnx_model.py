"""Writes a graph and its weights as an ONNX model, directly and never by tracing torch.

onnx-ir takes 0.35 s to import, so it is imported here only once a model is built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..diagnostics import Code, failure
from ..ir.graph import Graph

if TYPE_CHECKING:
    import onnx_ir as ir

    from ..passes.rewriting import Array
    from .onnx_scope import Scope

IR_VERSIONS = {18: 8, 20: 9, 22: 10}
"""Opset -> version of the file format that came with it; ONNX Runtime 1.20 loads up to 10."""

DEFAULT_OPSET = 20

SINGLE_FILE_LIMIT = 2_000_000_000
"""Bytes of tensors up to which a model is one file; protobuf ends at 2^31 - 1 bytes in all."""


def build_model(
    graph: Graph,
    weights: Mapping[str, Array],
    *,
    opset: int = DEFAULT_OPSET,
    metadata: Mapping[str, str] | None = None,
    name: str | None = None,
) -> ir.Model:
    """Build an ONNX model in memory.

    Args:
        graph: a network, or a program after the passes: no `call` is left.
        weights: every tensor that the graph reads: `<tensor>` for a network's own,
            `<network>.<tensor>` for those of networks that a program called.
        opset: 18, 20 or 22.
        metadata: what the file says about itself, such as its spec's hash and its labels.
        name: of the ONNX graph; the graph's own name by default.
    Returns: a model whose inputs, outputs and axes are named as in the graph. Sizes that are
        symbolic in the types are dynamic, all others fixed.
    Raises:
        NetwrightError: X701: another opset. X702: an operator has no ONNX rule, the opset lacks
            what it needs, or a size cannot be computed.
        InternalError: a tensor is missing from `weights` or has another shape.
    """
    if opset not in IR_VERSIONS:
        raise failure(
            Code.X701,
            f"expected the opset 18, 20 or 22, found {opset}",
            help=f"choose `opset: {min(IR_VERSIONS, key=lambda known: abs(known - opset))}`",
        )
    import onnx_ir as ir

    from ... import __version__
    from .onnx_graph import emit_nodes
    from .onnx_scope import Scope
    from .onnx_tensors import Names, Tensors
    from .onnx_unread import without_unread

    names = Names()
    reserved = {port: names.take(port) for port in _interface(graph)}
    scope = Scope(opset, Tensors(graph, weights, names), names, Names())
    inputs = [scope.input(value, reserved[value.name]) for value in graph.inputs]
    emit_nodes(scope, graph)
    outputs = _outputs(scope, graph)
    nodes = without_unread(scope.nodes, outputs, opset)
    return ir.Model(
        ir.Graph(
            inputs,
            outputs,
            nodes=nodes,
            initializers=scope.tensors.used(),
            opset_imports={"": opset},
            name=name or graph.name,
        ),
        ir_version=IR_VERSIONS[opset],
        producer_name="netwright",
        producer_version=__version__,
        metadata_props=dict(metadata or {}),
    )


def _interface(graph: Graph) -> list[str]:
    """The names that users of the model see.

    Raises: NetwrightError: X702: an input and an output have the same name.
    """
    inputs = [value.name for value in graph.inputs]
    both = sorted(set(inputs) & graph.outputs.keys())
    if both:
        raise failure(
            Code.X702,
            f"the input `{both[0]}` and an output of `{graph.name}` have the same name, "
            "which ONNX does not allow",
            help="rename the output",
        )
    return [*inputs, *graph.outputs]


def _outputs(scope: Scope, graph: Graph) -> list[ir.Value]:
    from .onnx_graph import named_output

    outputs: list[ir.Value] = []
    for port, value in graph.outputs.items():
        outputs.append(named_output(scope, value, port, outputs))
    return outputs


def save_model(
    model: ir.Model, path: str | os.PathLike[str], *, limit: int = SINGLE_FILE_LIMIT
) -> tuple[Path, ...]:
    """Write a model: one file, or with its tensors in `<path>.data` beside it above the limit.

    A model that existed is replaced at the end, and kept if anything fails before.

    Args:
        limit: bytes of tensors up to which there is one file.
    Returns: the files written, the model first.
    Raises: OSError: the folder does not take the file.
    """
    import onnx_ir as ir

    from .onnx_file import write_model

    target = Path(path)
    draft = target.with_name(f".{target.name}.draft")
    tensors = (value.const_value for value in model.graph.initializers.values())
    size = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    data = target.with_name(f"{target.name}.data") if size > limit else None
    try:
        if data:
            ir.save(model, draft, format="protobuf", external_data=data.name)
        else:
            write_model(model, draft)
        os.replace(draft, target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return (target, data) if data else (target,)
