"""Checks that a graph is sound: run on what elaboration made and after every pass.

What fails here is a fault of Netwright, never of the spec, so it is no diagnostic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from weakref import WeakSet

from .graph import Graph, Node, Value
from .proofs import equal
from .shapes import DType, TensorType
from .structure import Call, Loop, unify

STEP = TensorType(DType.I64, ())
"""The type of a trip count and of the step that a loop's body reads."""

GO_ON = TensorType(DType.BOOL, ())
"""The type of a loop's condition."""


class InternalError(Exception):
    """A fault of Netwright itself.

    stage: what had just run, such as the name of a pass; empty where that is not known.
    """

    def __init__(self, problem: str, *, stage: str = "") -> None:
        after = f" after `{stage}`" if stage else ""
        super().__init__(
            f"internal error{after}: {problem}. "
            "This is a fault of Netwright, not of the spec; please report it with the spec."
        )
        self.problem, self.stage = problem, stage


def verify(graph: Graph) -> None:
    """Check a graph, the bodies of its loops and the networks that it calls.

    Every value is made once and before it is read, types are what the operators infer, every
    declared tensor has its reference, paths are unique, and the tree of scopes holds the nodes.

    Raises: InternalError: any of this does not hold.
    """
    _verify(graph, set())


def _verify(graph: Graph, called: set[int]) -> None:
    _verify_names(graph)
    known = {value.name: value for value in graph.inputs}
    shapes: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        where = f"`{node.path}` of graph `{graph.name}`"
        _verify_reads(node.reads(), known, where)
        _verify_types(node, where)
        _verify_weights(node, shapes, where)
        _verify_structure(node, where, called)
        known.update((value.name, value) for value in node.outputs)
    _verify_reads(graph.outputs.values(), known, f"the outputs of graph `{graph.name}`")
    _verify_states(graph)
    _verify_scopes(graph)


def _verify_states(graph: Graph) -> None:
    """Each state is an input, and becomes an output of the same type."""
    inputs = {value.name: value.type for value in graph.inputs}
    for state, port in graph.states.items():
        before, behind = inputs.get(state), graph.outputs.get(port)
        if before is None or behind is None or not same_type(before, behind.type):
            found = f"%{state}: {before} and {port} = {behind}"
            raise InternalError(f"a state of graph `{graph.name}` does not carry on: {found}")


def _verify_names(graph: Graph) -> None:
    made = [*graph.inputs, *(value for node in graph.nodes for value in node.outputs)]
    _refuse_repeats((value.name for value in made), f"value of graph `{graph.name}`")
    _refuse_repeats((node.path for node in graph.nodes), f"path of graph `{graph.name}`")


def _refuse_repeats(names: Iterable[str], what: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise InternalError(f"the {what} named `{name}` exists {count} times")


def _verify_reads(values: Iterable[Value], known: dict[str, Value], where: str) -> None:
    for value in values:
        made = known.get(value.name)
        if made is None:
            raise InternalError(f"{where}: reads %{value.name} before it is made")
        if made.type != value.type:
            raise InternalError(f"{where}: reads {value}, but it was made as {made.type}")


_WELL_TYPED: WeakSet[Node] = WeakSet()
"""Nodes never change, so each is inferred once and not again after every pass."""


def _verify_types(node: Node, where: str) -> None:
    if node in _WELL_TYPED:
        return
    try:
        inferred = node.op.inferred(node.input_types)
    except Exception as error:
        raise InternalError(f"{where}: `{node.op.name}` cannot infer its types: {error}") from error
    if len(inferred) != len(node.outputs):
        raise InternalError(
            f"{where}: `{node.op.name}` makes {len(inferred)} values, found {len(node.outputs)}"
        )
    for value, expected in zip(node.outputs, inferred, strict=True):
        if not same_type(value.type, expected):
            raise InternalError(f"{where}: expected {expected} for %{value.name}, found {value}")
    _WELL_TYPED.add(node)


def _verify_weights(node: Node, shapes: dict[str, tuple[int, ...]], where: str) -> None:
    """Every declared tensor has a reference; layers that share one agree on its shape."""
    declared = node.declared()
    missing = [p.key for p in declared if p.key not in node.weights]
    if missing:
        raise InternalError(f"{where}: no tensor is given for {', '.join(map(repr, missing))}")
    for parameter in declared:
        ref = node.weights[parameter.key]
        shape = parameter.shape[::-1] if ref.transpose else parameter.shape
        if shapes.setdefault(ref.stored, shape) != shape:
            other = list(shapes[ref.stored])
            raise InternalError(f"{where}: `{ref.stored}` is read as {list(shape)} and {other}")


def _verify_structure(node: Node, where: str, called: set[int]) -> None:
    if isinstance(node.op, Loop):
        _verify_loop(node, node.op, where)
        _verify(node.op.body, called)
    if isinstance(node.op, Call):
        _verify_call(node, node.op, where)
        if id(node.op.graph) not in called:
            called.add(id(node.op.graph))
            _verify(node.op.graph, called)


def _verify_call(node: Node, call: Call, where: str) -> None:
    try:
        unify([value.type for value in call.graph.inputs], [v.type for v in node.reads()])
    except ValueError as error:
        raise InternalError(f"{where}: does not fit `{call.graph.name}`: {error}") from error


def _verify_loop(node: Node, loop: Loop, where: str) -> None:
    given = [value.type for value in node.reads()]
    steps = [_one_step(t, loop, where) for t in given[1 + loop.carried :]]
    carried = given[1 : 1 + loop.carried]
    reads = [value.type for value in loop.body.inputs]
    _match(given[:1], [STEP], f"{where}: trip count")
    _match(reads, [STEP, *carried, *steps], f"{where}: inputs of the body")
    makes = [value.type for value in loop.body.outputs.values()]
    head = [GO_ON] if loop.condition else []
    _match(makes[: len(head) + loop.carried], [*head, *carried], f"{where}: results of the body")


def _one_step(stacked: TensorType, loop: Loop, where: str) -> TensorType:
    if not stacked.rank or equal(stacked.shape[0], loop.count) is not True:
        raise InternalError(f"{where}: expected {loop.count} steps along axis 0, found {stacked}")
    return stacked.with_shape(stacked.shape[1:])


def _match(found: Sequence[TensorType], expected: Sequence[TensorType], where: str) -> None:
    fits = len(found) == len(expected) and all(map(same_type, found, expected))
    if not fits:
        raise InternalError(f"{where}: expected {_text(expected)}, found {_text(found)}")


def _text(types: Sequence[TensorType]) -> str:
    return ", ".join(map(str, types)) or "nothing"


def same_type(a: TensorType, b: TensorType) -> bool:
    """Whether two types are provably the same, however their sizes are written."""
    if a == b:
        return True
    return (
        a.dtype == b.dtype
        and a.rank == b.rank
        and all(equal(x, y) is True for x, y in zip(a.shape, b.shape, strict=True))
    )


def _verify_scopes(graph: Graph) -> None:
    if graph.root is None:
        return
    in_tree = Counter(id(node) for node in graph.root.nodes())
    in_graph = Counter(id(node) for node in graph.nodes)
    if in_tree != in_graph:
        paths = {id(node): node.path for node in (*graph.root.nodes(), *graph.nodes)}
        odd = sorted({paths[key] for key in in_tree.keys() ^ in_graph.keys()})
        raise InternalError(
            f"the scopes of graph `{graph.name}` do not hold its nodes once: {', '.join(odd)}"
        )
