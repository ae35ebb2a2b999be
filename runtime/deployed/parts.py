"""What measuring a bundle takes, whatever its objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from ...compiler.diagnostics import Code, failure
from ...compiler.objectives.fields import Field
from ...compiler.suggest import listing
from ..data.batches import Batches
from ..data.columns import Columns
from ..data.homes import choose_home
from ..data.orders import usual_order
from ..session import Bundle

CPU = torch.device("cpu")


def batches_of(columns: Columns, fields: Mapping[str, Field]) -> Batches:
    """A part of the data on the CPU, where ONNX Runtime takes it."""
    home, layout = choose_home(columns, CPU), torch.contiguous_format
    return Batches(columns, fields, CPU, layout, home=home, order=usual_order(columns))


def need_programs(bundle: Bundle, names: Sequence[str], judged: str) -> None:
    """Raises: NetwrightError: B802: a program is missing, by which something is judged."""
    if missing := [name for name in names if name not in bundle.programs]:
        raise failure(
            Code.B802,
            f"expected a bundle with the programs {listing(names)}, by which {judged}, found one "
            f"without {listing(missing)}",
            help="add them to `programs` of `export`, or evaluate the run instead",
        )
