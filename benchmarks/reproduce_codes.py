"""What codes hold and what is made of them: a VAE, a VQ-VAE and an anomaly detector, three seeds.

Usage: make reproduce-codes, or python benchmarks/reproduce_codes.py [--fashion FOLDER]
           [--out FOLDER] [--specs NAME ...] [--seeds N ...]

Each spec of the zoo trains as it says, apart from the seed, and is measured on its test samples.
Beside the VAE stands PCA with as many components, judged by the same linear probe. Writes codes.md,
and for the first seed the pictures of the last step.

Source: Kingma and Welling 2014; Burda et al. 2016 (active units); van den Oord et al. 2017.
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

import numpy as np
from measure import machine
from netwright.compiler.driver import Compilation, compile_spec
from netwright.runtime.codes.closing import probe_accuracy
from netwright.runtime.gallery import newest_pictures
from netwright.runtime.train import train
from training_jobs import FASHION, read_fashion

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
COMPONENTS = 16
"""Of PCA, as many as the VAE's code has elements."""

ABOUT = """\
`probe` is the accuracy of a logistic regression on the code (60,000 training samples, each element
brought to mean 0 and deviation 1); `active units` are elements of the code whose mean varies over
the test samples by more than 0.01; `perplexity` is exp of the entropy of the codes' indices, of
256; `mse` is that of reconstructed pixels in [0, 1]; `auroc` tells the digits 7, 8 and 9 from those
that were learnt by their ELBO."""

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Job:
    """A spec of the zoo.

    shown: its figures in the table. least, most: figure -> what its mean over seeds must reach.
    """

    spec: str
    shown: tuple[str, ...]
    least: Mapping[str, float]
    most: Mapping[str, float]
    pictures: tuple[str, ...] = ()

    def misses(self, found: Sequence[Figures]) -> list[str]:
        """The figures that do not reach what they should, on average over the seeds."""
        means = {name: float(np.mean([one[name] for one in found])) for name in self.shown}
        low = [name for name, value in self.least.items() if means[name] < value]
        return low + [name for name, value in self.most.items() if means[name] > value]


JOBS = {
    job.spec: job
    for job in (
        Job(
            "conv_vae_fashion",
            ("elbo", "kl", "active_units", "probe", "ssim"),
            {"active_units": 16, "probe": 0.80},
            {},
            ("samples", "reconstructions", "interpolations", "codes"),
        ),
        Job(
            "vq_vae_fashion",
            ("mse", "perplexity", "usage", "ssim"),
            {"perplexity": 128},
            {"mse": 0.012},
            ("reconstructions",),
        ),
        Job("anomaly_digits", ("elbo", "kl", "auroc"), {"auroc": 0.9}, {}),
    )
}


@dataclass(frozen=True)
class Outcome:
    """One run: its test figures, and how long it took."""

    job: Job
    seed: int
    figures: Figures
    seconds: float


def seeded(name: str, seed: int) -> Compilation:
    compilation = compile_spec(ROOT / "specs" / f"{name}.yaml")
    training = compilation.spec.training.model_copy(update={"seed": seed})
    return replace(compilation, spec=replace(compilation.spec, training=training))


def play(job: Job, seed: int, fashion: Path, pictures: Path | None) -> Outcome:
    """Train, measure, and keep the pictures where a folder for them is given."""
    with tempfile.TemporaryDirectory() as parent:
        start = time.perf_counter()
        run = Path(parent) / "run"
        result = train(seeded(job.spec, seed), output=run, data_dir=fashion, device="cpu")
        seconds = time.perf_counter() - start
        _, files = newest_pictures(run) or (0, {})
        for name in job.pictures if pictures else ():
            shutil.copyfile(files[name], pictures / f"{job.spec}_{name}.png")
        return Outcome(job, seed, result.metrics["test"], seconds)


def pca(fashion: Path) -> float:
    """The probe's accuracy on principal components."""
    from sklearn.decomposition import PCA

    train_, test = (read_fashion(fashion, part) for part in ("train", "test"))
    flat, judged = (x.inputs.reshape(len(x.inputs), -1) / np.float32(255) for x in (train_, test))
    fitted = PCA(COMPONENTS, random_state=0).fit(flat)
    codes, others = fitted.transform(flat), fitted.transform(judged)
    return probe_accuracy(codes, train_.labels, others, test.labels)


def page(outcomes: Sequence[Outcome], baseline: float | None, minutes: float) -> Iterator[str]:
    yield "# What codes hold"
    yield ""
    yield ABOUT
    yield ""
    yield f"{machine()}. Command: `make reproduce-codes`; {minutes:.1f} minutes in all."
    for name, job in JOBS.items():
        own = [one for one in outcomes if one.job is job]
        if own:
            yield from ("", f"## {name}", "", *_table(job, own))
        if own and name == "conv_vae_fashion" and baseline is not None:
            yield ""
            yield f"PCA with {COMPONENTS} components: probe {baseline:.4f}."
        for picture in job.pictures if own else ():
            yield from ("", f"{picture}:", "", f"![{picture}]({name}_{picture}.png)")


def _table(job: Job, outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield f"| seed | {' | '.join(name.replace('_', ' ') for name in job.shown)} | time |"
    yield "|---" * (len(job.shown) + 2) + "|"
    for one in outcomes:
        figures = " | ".join(f"{one.figures[name]:.4g}" for name in job.shown)
        yield f"| {one.seed} | {figures} | {one.seconds:.0f} s |"
    means = " | ".join(f"{np.mean([o.figures[n] for o in outcomes]):.4g}" for n in job.shown)
    yield f"| mean | {means} | |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--fashion", type=Path, default=FASHION, help="the folder of its files")
    parser.add_argument("--specs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    start, outcomes = time.perf_counter(), []
    for name in options.specs:
        for seed in options.seeds:
            pictures = options.out if seed == options.seeds[0] else None
            one = play(JOBS[name], seed, options.fashion, pictures)
            outcomes.append(one)
            told = ", ".join(f"{figure} {one.figures[figure]:.4g}" for figure in one.job.shown)
            print(f"{name} seed {seed}: {told}, {one.seconds:.0f} s", flush=True)
    baseline = pca(options.fashion) if "conv_vae_fashion" in options.specs else None
    lines = page(outcomes, baseline, (time.perf_counter() - start) / 60)
    (options.out / "codes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    wrong = []
    for name in options.specs:
        own = [one.figures for one in outcomes if one.job.spec == name]
        wrong += [f"{figure} of {name}" for figure in JOBS[name].misses(own)]
        if name == "conv_vae_fashion" and min(one["probe"] for one in own) <= (baseline or 0):
            wrong.append(f"probe of {name}, which PCA reaches")
    if wrong:
        sys.exit(f"not as it should be: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
