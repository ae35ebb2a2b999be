"""How much of Fashion-MNIST the GANs of the zoo make, judged by a classifier of the zoo.

Usage: make reproduce-fashion-gans, or python benchmarks/reproduce_fashion_gans.py
           [--fashion FOLDER] [--out FOLDER] [--specs NAME ...] [--seeds N ...] [--judge BUNDLE]

The classifier fashion_cnn is trained and exported first, unless a bundle of it is given. Each GAN
trains as its spec says, apart from the seed, and 5,000 of its samples are compared with 5,000 test
images by the 128 numbers that the classifier's last layer reads, with k = 5. Of the ones in
`SUCCEEDING` a coverage of 0.5 is asked for, and 2% of the samples of every class. Writes
fashion_gans.md and the samples of the first seed. The row `real` compares test images with others.

Source: Naeem et al. 2020 (density and coverage).
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from measure import machine
from netwright.compiler.driver import Compilation, compile_spec
from netwright.compiler.objectives.gan import Gan
from netwright.compiler.objectives.judge import Judge
from netwright.runtime.export import export_run
from netwright.runtime.files import read_json
from netwright.runtime.gallery import newest_pictures
from netwright.runtime.judging.classifier import Classifier
from netwright.runtime.judging.distances import frechet_distance, kernel_distance
from netwright.runtime.judging.judge import of_classes
from netwright.runtime.judging.names import MADE
from netwright.runtime.judging.neighbours import agreement, manifold
from netwright.runtime.runs import SUMMARY
from netwright.runtime.session import load
from netwright.runtime.train import train
from training_jobs import FASHION, read_fashion

ROOT = Path(__file__).resolve().parents[1]
SPECS = (
    "sngan_fashion", "r3gan_fashion", "dcgan_fashion", "wgan_gp_fashion", "wgan_clip_fashion",
    "progressive_fashion",
)  # fmt: skip
SUCCEEDING = ("sngan_fashion", "progressive_fashion")
SAMPLES, K = 5000, 5
COVERAGE_WANTED, CLASS_WANTED = 0.5, 0.02

COLUMNS = (
    "coverage", "recall", "precision", "density", "frechet_distance", "kernel_distance",
    "classes_covered", "duplicates", "memorised",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One run. smallest: the share of the rarest class among its samples."""

    spec: str
    seed: int
    steps: int
    seconds: float
    figures: Mapping[str, float]
    smallest: float

    @property
    def succeeds(self) -> bool:
        return self.figures["coverage"] >= COVERAGE_WANTED and self.smallest >= CLASS_WANTED


def classifier(fashion: Path, folder: Path) -> Path:
    """The bundle of a new fashion_cnn."""
    train(compile_spec(ROOT / "specs" / "fashion_cnn.yaml"), output=folder, data_dir=fashion)
    return export_run(folder).folder


def judged(name: str, seed: int, judge: Path) -> Compilation:
    """A GAN of the zoo with a classifier, which its spec leaves to the user."""
    compilation = compile_spec(ROOT / "specs" / f"{name}.yaml")
    spec, objective = compilation.spec, compilation.spec.objective
    assert isinstance(objective, Gan)
    judge_settings = Judge(classifier=str(judge.resolve()), samples=SAMPLES, k=K)
    objective = objective.model_copy(update={"judge": judge_settings})
    training = spec.training.model_copy(update={"seed": seed})
    return replace(compilation, spec=replace(spec, objective=objective, training=training))


def play(name: str, seed: int, judge: Path, fashion: Path, picture: Path | None) -> Outcome:
    """Train and judge; picture: where the samples of the last step are kept."""
    with tempfile.TemporaryDirectory() as parent:
        run = Path(parent) / "run"
        result = train(judged(name, seed, judge), output=run, data_dir=fashion)
        summary = read_json(run / SUMMARY)
        _, files = newest_pictures(run) or (0, {})
        if picture is not None:
            shutil.copyfile(files["samples"], picture)
        smallest = min(summary["details"][MADE])
        seconds, figures = summary["seconds"], result.metrics["test"]
        return Outcome(name, seed, result.step, seconds, dict(figures), smallest)


def of_real(judge: Path, fashion: Path) -> dict[str, float]:
    """The figures of one half of the test images beside the other."""
    field = compile_spec(ROOT / "specs" / "fashion_cnn.yaml").fields["image"]
    sight = Classifier(judge, "image", field, torch.device("cpu"))
    images = torch.from_numpy(read_fashion(fashion, "test").inputs.copy()).reshape(-1, 1, 28, 28)
    first, second = (sight(part) for part in images.split(SAMPLES))
    one, other = first.features, second.features
    shares = [torch.bincount(s.classes, minlength=10) / SAMPLES for s in (first, second)]
    return {
        **agreement(manifold(one, K), manifold(other, K)),
        "frechet_distance": frechet_distance(one, other),
        "kernel_distance": kernel_distance(one, other),
        **of_classes(*shares),
    }


def page(
    outcomes: Sequence[Outcome], real: Mapping[str, float], accuracy: float, minutes: float
) -> Iterator[str]:
    yield "# What GANs make of Fashion-MNIST"
    yield ""
    yield (
        "Each spec of the zoo as it is; 5,000 samples beside 5,000 test images, by the features of "
        f"`fashion_cnn`\n(accuracy {accuracy:.4f}), k = 5. `smallest class`: its share of the "
        "samples, as the classifier sees them; a\ntenth of real ones is of each. `duplicates` and "
        f"`memorised` are 0.01 for real samples. Asked of\n{', '.join(SUCCEEDING)}: a coverage of "
        f"at least {COVERAGE_WANTED}, and {CLASS_WANTED:.0%} of every class. Distances compare "
        "with those\nof the same classifier alone."
    )
    yield ""
    yield f"{machine()}. Command: `make reproduce-fashion-gans`; {minutes:.1f} minutes in all."
    yield ""
    yield f"| spec | seed | steps | time | smallest class | {' | '.join(COLUMNS)} |"
    yield "|---" * (len(COLUMNS) + 5) + "|"
    yield f"| real | | | | | {_cells(real)} |"
    for one in outcomes:
        yield (
            f"| {one.spec} | {one.seed} | {one.steps:,} | {one.seconds:.0f} s | "
            f"{one.smallest:.1%} | {_cells(one.figures)} |"
        )
    for name in dict.fromkeys(one.spec for one in outcomes):
        yield from ("", f"## {name}", "", f"![samples]({name}_samples.png)")


def _cells(figures: Mapping[str, float]) -> str:
    return " | ".join(f"{figures[name]:.4g}" if name in figures else "" for name in COLUMNS)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fashion", type=Path, default=FASHION, help="the folder of its files")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--specs", nargs="+", choices=SPECS, default=list(SPECS))
    parser.add_argument("--judge", type=Path, help="a bundle of fashion_cnn; trained unless given")
    return parser.parse_args()


def main() -> None:
    options, outcomes, start = read_options(), list[Outcome](), time.perf_counter()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as parent:
        judge = options.judge or classifier(options.fashion, Path(parent) / "classifier")
        real = of_real(judge, options.fashion)
        for name in options.specs:
            for seed in options.seeds:
                first = seed == options.seeds[0]
                picture = options.out / f"{name}_samples.png" if first else None
                outcomes.append(play(name, seed, judge, options.fashion, picture))
                print(outcomes[-1], flush=True)
        accuracy = float(load(judge).metrics["test"]["accuracy"])
    minutes = (time.perf_counter() - start) / 60
    text = "\n".join(page(outcomes, real, accuracy, minutes)) + "\n"
    (options.out / "fashion_gans.md").write_text(text, encoding="utf-8")
    failed = [one for one in outcomes if one.spec in SUCCEEDING and not one.succeeds]
    if failed:
        sys.exit(f"expected clothes of all kinds, found {failed}")


if __name__ == "__main__":
    main()
