"""What `compile` leaves on disk: source, printed graphs, summaries and diagrams. Torch-free."""

from __future__ import annotations

from pathlib import Path

from ..compiler.diagram import draw_svg
from ..compiler.driver import Compilation
from ..compiler.ir.printer import print_graph
from ..compiler.summary import summary_table
from .files import make_folder, write_text


def write_compiled(compilation: Compilation, folder: Path) -> list[Path]:
    """Write model.py, and for each network its printed graph, summary table and diagram.

    Returns: the files, in the order they were written.
    Raises: NetwrightError: R903: the folder can't be written.
    """
    make_folder(folder)
    texts = {"model.py": compilation.source}
    for name, graph in compilation.graphs.items():
        texts[f"{name}.graph.txt"] = print_graph(graph)
        texts[f"{name}.summary.txt"] = summary_table(graph)
        texts[f"{name}.svg"] = draw_svg(graph)
    for name, program in compilation.programs.items():
        texts[f"{name}.program.txt"] = print_graph(program)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]
