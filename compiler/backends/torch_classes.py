"""Gathers frames into classes: one for each structure, with arguments for what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .torch_arguments import MISSING, Arguments
from .torch_names import Names
from .torch_parts import Container, Frame, Instance, Layer, Literals, Make, Step, Tensor
from .torch_structure import DEFAULTS, Fit, Structure, fits, step_path, structure

_POSITIONS = {
    "nn.Linear": ("in_features", "out_features"),
    "nn.Embedding": ("entries", "features"),
    "nn.LayerNorm": ("features",),
    "nn.GroupNorm": ("groups", "channels"),
    "nn.Dropout": ("p",),
}
_KEYWORDS = (
    "kernel_size",
    "stride",
    "padding",
    "output_padding",
    "dilation",
    "groups",
    "bias",
)
"""The usual order of the arguments of a convolution."""

_CHANNELS = ("in_channels", "out_channels")


@dataclass(eq=False)
class ClassDef:
    """A class of the file.

    model: the frame with all layers, which the text is written from.
    texts: (where, argument) -> text of a literal; optional: layer -> text of its flag.
    keywords: where -> the arguments of that constructor, in order.
    passed: optional step -> the input that it passes on where it is left out.
    is_variant: whether the family has other classes.
    """

    name: str
    frames: list[Frame]
    model: Frame
    arguments: Arguments
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    keywords: dict[str, list[str]] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)
    is_variant: bool = False


@dataclass
class Group:
    """Frames that share a class: those of the largest structure first."""

    structure: Structure
    frames: list[Frame]
    missing: dict[Frame, frozenset[str]] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    def takes(self, fit: Fit) -> bool:
        """Whether a further fit passes on the same inputs as those before."""
        return all(self.passed.get(path, place) == place for path, place in fit.passed.items())


class Classes:
    """The classes of a file, in the order of their definition."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.of: dict[Frame, ClassDef] = {}
        self.ordered: list[ClassDef] = []

    def add(self, roots: Iterable[Frame]) -> None:
        """Define the classes of networks or programs and of all their parts."""
        families: dict[tuple[str, ...], list[Frame]] = {}
        for root in roots:
            for frame in _below(root):
                families.setdefault(frame.family, []).append(frame)
        defined: set[tuple[str, ...]] = set()
        for family in families:
            self._define(family, families, defined)

    def _define(
        self,
        family: tuple[str, ...],
        families: dict[tuple[str, ...], list[Frame]],
        defined: set[tuple[str, ...]],
    ) -> None:
        """Define a family's classes, after those of the families inside it."""
        if family in defined:
            return
        defined.add(family)
        for frame in families[family]:
            for inner in frame.inner():
                self._define(inner.family, families, defined)
        groups = self._groups(families[family])
        names = self._group_names(groups)
        for group in sorted(groups, key=lambda g: families[family].index(g.frames[0])):
            self._define_group(group, names[id(group)], len(groups) > 1)

    def _group_names(self, groups: list[Group]) -> dict[int, str]:
        """The class with the most instances has the plain name."""
        by_use = sorted(groups, key=lambda group: -len(group.frames))
        return {id(group): self.names.fresh(group.frames[0].name) for group in by_use}

    def _groups(self, frames: list[Frame]) -> list[Group]:
        found: dict[Structure, Group] = {}
        for frame in frames:
            shape = structure(frame, self.of)
            found.setdefault(shape, Group(shape, [])).frames.append(frame)
        groups: list[Group] = []
        for group in sorted(found.values(), key=lambda g: -len(g.structure.items())):
            if not any(_merge(group, larger) for larger in groups):
                groups.append(group)
        return groups

    def _define_group(self, group: Group, name: str, is_variant: bool) -> None:
        model = group.frames[0]
        defined = ClassDef(name, group.frames, model, Arguments(group.frames))
        defined.is_variant = is_variant
        defined.passed = group.passed
        for frame in group.frames:
            self.of[frame] = defined
        self._write_literals(defined, group)
        self._write_flags(defined, group)
        self.ordered.append(defined)

    def _write_literals(self, defined: ClassDef, group: Group) -> None:
        found = [self._literals(frame) for frame in group.frames]
        keys = sorted(
            {key: None for literals in found for key in literals},
            key=lambda key: _KEYWORDS.index(key[1]) if key[1] in _KEYWORDS else -1,
        )
        for where, name in keys:
            row = [literals.get((where, name), MISSING) for literals in found]
            missing = {index for index, value in enumerate(row) if value is MISSING}
            if missing and name in DEFAULTS:  # left out where it is the default
                present = [(where, "0") in literals for literals in found]
                row = [
                    DEFAULTS[name] if value is MISSING and here else value
                    for value, here in zip(row, present, strict=True)
                ]
            defined.keywords.setdefault(where, []).append(name)
            wanted = f"{where.replace('.', '_').partition(':')[0]}_{_title(group, where, name)}"
            defined.texts[where, name] = defined.arguments.write(row, wanted)

    def _write_flags(self, defined: ClassDef, group: Group) -> None:
        lacking = {path: None for missing in group.missing.values() for path in sorted(missing)}
        for path in lacking:
            row = [path not in group.missing.get(frame, ()) for frame in group.frames]
            defined.optional[path] = defined.arguments.flag(row, _flag_name(group, path))

    def _literals(self, frame: Frame) -> Literals:
        found: Literals = {}
        for _, make in frame.fields:
            self._collect(make, found)
        for step in _steps(frame.steps):
            found.update({(step.outputs[0], name): v for name, v in step.numbers.items()})
        return found

    def _collect(self, make: Make, found: Literals) -> None:
        match make:
            case Layer() | Tensor():
                construct = make.construct
                found.update({(make.where, str(k)): v for k, v in enumerate(construct.args)})
                found.update({(make.where, name): v for name, v in construct.kwargs.items()})
            case Container():
                for _, child in make.children:
                    self._collect(child, found)
            case Instance():
                defined = self.of[make.frame]
                index = defined.frames.index(make.frame)
                for argument in defined.arguments.ordered():
                    value = argument.row[index]
                    found[make.where, argument.name] = None if value is MISSING else value


def _steps(steps: Iterable[Step]) -> Iterator[Step]:
    """The steps, and those of the loops among them."""
    for step in steps:
        yield step
        yield from _steps(step.loop.steps if step.loop else ())


def _below(frame: Frame) -> Iterator[Frame]:
    for inner in frame.inner():
        yield from _below(inner)
    yield frame


def _merge(group: Group, larger: Group) -> bool:
    fit = fits(group.structure, larger.structure)
    if fit is None or not larger.takes(fit):
        return False
    larger.frames.extend(group.frames)
    larger.missing.update(dict.fromkeys(group.frames, fit.missing))
    larger.passed.update(fit.passed)
    return True


def _title(group: Group, where: str, name: str) -> str:
    """What the argument of a constructor is called: `out_channels` for the second of a Conv2d."""
    if not name.isdigit():
        return name
    functions = {
        make.where: make.construct.function
        for frame in group.frames
        for _, outer in frame.fields
        for make in _leaves(outer)
    }
    function = functions.get(where, "")
    positions = _CHANNELS if "Conv" in function else _POSITIONS.get(function, ())
    return positions[int(name)] if int(name) < len(positions) else "size"


def _flag_name(group: Group, path: str) -> str:
    """What the argument is called that says whether an optional layer is there."""
    automatic = any(step.automatic for step in group.frames[0].steps if step_path(step) == path)
    if not automatic:
        return path
    operation = path.rpartition("_")[0] or f"layer_{path}"
    return "residual" if operation == "add" else f"with_{operation}"


def _leaves(make: Make) -> Iterator[Layer | Tensor]:
    if isinstance(make, Layer | Tensor):
        yield make
    elif isinstance(make, Container):
        for _, child in make.children:
            yield from _leaves(child)
