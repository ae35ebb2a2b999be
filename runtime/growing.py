"""A run stage by stage: the networks of a stage begin with what those before came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..compiler.driver import Compilation
from ..compiler.growing import name_of
from .data.dataset import Dataset
from .distributed.world import World
from .job import make_job
from .judging.judge import SampleJudge
from .observer import Observer
from .plan import Plan
from .snapshot import Parts, State
from .stages import stage_at
from .stepper import Job
from .stopping import Stop
from .trainer import Trainer


@dataclass
class Course:
    """What the stages of a run have in common; a run that does not grow has one.

    job: that of the stage at work; others let go of their data.
    """

    compilation: Compilation
    dataset: Dataset
    device: torch.device
    plan: Plan
    world: World
    judge: SampleJudge | None
    observer: Observer
    job: Job | None = None

    def job_at(self, step: int, folder: Path) -> Job:
        """A job with the fresh networks of the stage that has the state after a step."""
        self.close()
        stage = stage_at(self.compilation, step)
        self.job = make_job(
            stage, self.dataset, self.device, folder, self.plan, self.world, self.judge
        )
        return self.job

    def close(self) -> None:
        """End the processes that read data, if there are any."""
        if self.job is not None:
            self.job.close()
        self.job = None

    def job_for(self, job: Job, step: int) -> Job:
        """A job for the state after a step: this one, or one of another stage in its place."""
        if stage_at(self.compilation, step).stage in (None, job.stage):
            return job
        return self.job_at(step, job.folder)

    def train(self, trainer: Trainer) -> tuple[Trainer, int | None]:
        """Train what is left of a stage, and those after it.

        Returns: the trainer of the last one, and the number of the signal that stopped it.
        """
        signal = trainer.train()
        while trainer.is_grown:
            with Stop() as meanwhile:
                trainer = self._grown(trainer)
            signal, _ = self.world.agree(signal or meanwhile.signal, False)
            signal = trainer.train(signal)
        return trainer, signal

    def _grown(self, old: Trainer) -> Trainer:
        """The trainer of the next stage, at the same step.

        Tensors of the same names go on, as do their moving averages and what the objective keeps;
        others are as drawn. The optimizers begin anew, as in the authors' code: their averages of
        gradients are those of other networks. Source: Karras et al. 2018.
        """
        step = old.state.step
        job = self.job_at(step, old.job.folder)
        before = old.stepper.parts
        carry_weights(before, job)
        job.objective.succeed(before.objective)
        trainer = Trainer(job, self.observer)
        carry_averages(before, trainer.stepper.parts)
        trainer.stepper.state = State(step=step, seconds=old.state.seconds)
        self._tell(job, before)
        return trainer

    def _tell(self, job: Job, before: Parts) -> None:
        grow = job.settings.grow
        assert grow
        names = {f"{n}.{tensor}" for n, graph in job.graphs.items() for tensor in graph.tensors()}
        known = {f"{n}.{tensor}" for n, g in before.graphs.items() for tensor in g.tensors()}
        self.observer.tell(
            f"at step {job.begin:,} the networks grew to those {name_of(grow, job.stage)}: "
            f"{len(names & known)} tensors go on, {len(names - known)} are new, "
            f"{len(known - names)} are gone"
        )


@torch.no_grad()
def carry_weights(before: Parts, job: Job) -> None:
    """Copy what the networks before came to into the tensors of the same names."""
    for name, network in job.objective.networks.items():
        known = before.graphs[name].tensors() if name in before.graphs else {}
        own, old = network.state_dict(), _state(before.networks, name)
        for tensor in job.graphs[name].tensors():
            if tensor in known:
                own[tensor].copy_(old[tensor])


def _state(networks: Mapping[str, nn.Module], name: str) -> dict[str, Tensor]:
    return networks[name].state_dict() if name in networks else {}


@torch.no_grad()
def carry_averages(before: Parts, after: Parts) -> None:
    """The same for moving averages; those of new tensors begin as the tensors do."""
    if before.averages is None or after.averages is None:
        return
    known = before.averages.memory()
    for name, kept in after.averages.memory().items():
        if name in known:
            kept.copy_(known[name])
