"""The colours and fonts of diagrams, for light and dark schemes."""

from __future__ import annotations

_FAMILIES = {
    "convolution": "blue",
    "transposed_convolution": "blue",
    "linear": "indigo",
    "normalization": "teal",
    "layer_normalization": "teal",
    "class_projection": "brown",
    "conditional_batch_norm": "teal",
    "minibatch_deviation": "teal",
    "activations": "amber",
    "softmax": "amber",
    "pooling": "rose",
    "global_pooling": "rose",
    "reduce": "rose",
    "resample": "cyan",
    "merge": "green",
    "arithmetic": "green",
    "attention": "violet",
    "recurrent": "violet",
    "embedding": "brown",
    "tensors": "brown",
    "block": "ink",
}


def colour(family: str) -> str:
    """The class of a family of operators; those that only move data are grey."""
    return _FAMILIES.get(family, "grey")


_LIGHT = {
    "blue": ("#2563eb", "#eaf1fe"),
    "indigo": ("#4f46e5", "#eeeefd"),
    "teal": ("#0d9488", "#e6f6f4"),
    "amber": ("#d97706", "#fdf3e3"),
    "rose": ("#e11d48", "#fdebef"),
    "cyan": ("#0891b2", "#e5f5f9"),
    "green": ("#16a34a", "#e8f6ed"),
    "violet": ("#7c3aed", "#f2ecfd"),
    "brown": ("#92614a", "#f6efeb"),
    "grey": ("#64748b", "#f1f3f6"),
    "ink": ("#334155", "#ffffff"),
}

_DARK = {
    "blue": ("#60a5fa", "#1b2a44"),
    "indigo": ("#818cf8", "#252749"),
    "teal": ("#2dd4bf", "#143733"),
    "amber": ("#fbbf24", "#3b2e14"),
    "rose": ("#fb7185", "#40202a"),
    "cyan": ("#22d3ee", "#12343c"),
    "green": ("#4ade80", "#17361f"),
    "violet": ("#a78bfa", "#2c2450"),
    "brown": ("#d6a88f", "#372a23"),
    "grey": ("#94a3b8", "#272e3a"),
    "ink": ("#cbd5e1", "#1f2733"),
}


def _families(palette: dict[str, tuple[str, str]]) -> str:
    return "".join(
        f".box.{name},.card.{name}{{fill:{fill};stroke:{line}}}.bar.{name}{{fill:{line}}}"
        for name, (line, fill) in palette.items()
    )


_COMMON = """
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:13px}
.name{font-size:18px;font-weight:700}
.title{font-size:14px;font-weight:700}
.label{font-weight:600}
.small{font-size:12px;font-weight:500}
.detail{font-size:11px;font-weight:400}
.note{font-size:11px;text-anchor:end}
.group-title{text-anchor:start;font-weight:600}
.muted{font-size:12px}
.shape{font-size:10.5px;font-family:ui-monospace,"SF Mono",Menlo,"DejaVu Sans Mono",monospace}
.pill-text{text-anchor:middle;font-weight:600}
.box,.card{stroke-width:1}
.bar{stroke:none}
.optional{stroke-dasharray:5 3}
.edge,.skip{fill:none;stroke-width:1.5}
.skip{stroke-width:1.6}
.group{stroke-width:1}
.panel{stroke-width:1}
"""


def _scheme(page: str, panel: str, ink: str, muted: str, line: str, skip: str, pill: str) -> str:
    return (
        f".page{{fill:{page}}}.panel,.group{{fill:{panel};stroke:{line}}}text{{fill:{ink}}}"
        f".detail,.note,.muted,.shape{{fill:{muted}}}.edge{{stroke:{muted}}}"
        f".skip{{stroke:{skip}}}.head{{fill:{muted}}}.head-skip{{fill:{skip}}}"
        f".pill{{fill:{pill};stroke:{line}}}"
    )


STYLE = (
    _COMMON
    + _scheme("#fbfcfe", "#f4f6fa", "#1e293b", "#5b6b82", "#c9d2de", "#db2777", "#e7ebf2")
    + _families(_LIGHT)
    + "@media (prefers-color-scheme:dark){"
    + _scheme("#12171f", "#181f29", "#e5eaf1", "#9aa9bd", "#364253", "#f472b6", "#2a3340")
    + _families(_DARK)
    + "}"
)


def _marker(name: str, kind: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="6" '
        f'markerHeight="6" orient="auto"><path class="{kind}" d="M0 0L8 4L0 8z"/></marker>'
    )


ARROW = f"<defs>{_marker('arrow', 'head')}{_marker('arrow-skip', 'head-skip')}</defs>"
