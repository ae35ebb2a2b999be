"""The one loop: looks, records, checkpoints. The stepper takes the steps.

No step waits for the device. Losses stay there and are read together now and then; that is also
when a loss that is not finite is found, and its step named.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..compiler.diagnostics import NetwrightError
from . import checkpoint
from .divergence import Diverged, locate, not_finite_at_start
from .gallery import Gallery
from .gates import gate_error
from .gradient_log import GradientLog
from .history import History
from .measure import measure
from .observer import EpochEnd, Observer, Progress
from .outcome import note_divergence, note_gate
from .resuming import newest_checkpoint
from .rewinding import destination, keep_true, turn_back
from .runs import GRADIENTS, METRICS, SAMPLES
from .samples import Samples
from .snapshot import State, first_bad_tensor
from .stages import kept
from .stepper import Job, Stepper
from .stopping import Stop

LOOK_STEPS = 200
"""After how many steps the losses are read at the latest."""

LOOK_SECONDS = 0.25
"""After how much time they are read, which also paces the display."""

KEPT = 2
"""How many of the newest checkpoints stay: if one is damaged, there is the one before it."""


class Trainer:
    """Trains an objective's networks in place."""

    def __init__(self, job: Job, observer: Observer) -> None:
        self.job, self.observer, self.stepper = job, observer, Stepper(job)
        self.total, self.per_epoch = self.stepper.total, self.stepper.per_epoch
        self._interval = job.settings.validation.interval(self.per_epoch)
        self._history = History(job.folder)
        self._gradients = GradientLog(job.folder, self.total)
        self._samples = Samples(job.folder, job.objective)
        measurements = -(-self.total // self._interval)
        shown = job.validation or job.train
        self._gallery = Gallery(job.folder, job.objective, shown, measurements)
        self._pending: list[tuple[int, dict[str, Tensor]]] = []
        self._saved: int | None = None
        self._signal: int | None = None
        self._looked = self._began = time.perf_counter()
        self._stepping, self._stepped = 0.0, 0

    @property
    def state(self) -> State:
        return self.stepper.state

    @property
    def is_over(self) -> bool:
        return self.state.ended or self.state.step >= self.total

    @property
    def is_grown(self) -> bool:
        """Whether the stage has come to its end, and the networks of the next one go on."""
        return self.job.end is not None and self.state.step >= self.job.end

    def train(self, signal: int | None = None) -> int | None:
        """Run until the end of the stage or until a signal asks to stop; then the state is saved.

        signal: one that came before, after which nothing but the state to begin with is saved.
        Returns: the signal's number, or None without one and at the end of the run.
        Raises: NetwrightError: R904: a number is not finite. R903: the disk fails.
        """
        self._looked = self._began = time.perf_counter()
        self._signal = signal
        self.stepper.match()
        with Stop() as stop:
            self._save_first()
            while not self.is_over and not self.is_grown and self._signal is None:
                try:
                    self._epoch(stop)
                except Diverged as diverged:
                    self._rewind(diverged)
        return None if self.is_over else self._signal

    def _save_first(self) -> None:
        """Write a checkpoint before the first step, so that a disk that is full is found at once.

        Raises: NetwrightError: R904: there is nothing finite to begin with.
        """
        if self._saved is None and (bad := self._first_bad()):
            self._end(not_finite_at_start(self.stepper, bad), self.state.step, rewinds=0)
        self._save()

    def _epoch(self, stop: Stop) -> None:
        """Take the steps that are left of an epoch."""
        _, looks = self.job.world.agree(None, self._is_late())
        for batches in self.stepper.batches():
            losses = self.stepper.step(batches, self._gradients.due(self.state.step + 1))
            self._pending.append((self.state.step, losses))
            self._after_step(looks=looks)
            if self.is_over:
                return
            self._signal, looks = self.job.world.agree(stop.signal, self._is_late())
            if self.is_grown:
                return
            if self._signal is not None:
                self._look()
                self._save()
                return

    def _is_late(self) -> bool:
        """Whether the losses are read after the next step."""
        waited = time.perf_counter() - self._looked
        return waited > LOOK_SECONDS or len(self._pending) + 1 >= LOOK_STEPS

    def _after_step(self, *, looks: bool) -> None:
        """Look, record and save where it is time."""
        step, settings = self.state.step, self.job.settings
        ends = step == self.total or self.is_grown
        measures = ends or step % self._interval == 0
        records = measures or (settings.validation.steps is None and step % self.per_epoch == 0)
        saves = ends or settings.checkpoint.is_due(step, self.per_epoch)
        if looks or records or saves:
            self._look()
        if records:
            self._record(measures=measures)
        if saves:
            self._save()

    def _look(self) -> None:
        """Read the losses since the last look, tell them, and stop if one is not finite."""
        if not self._pending:
            return
        rows = [(step, name) for step, losses in self._pending for name in losses]
        stacked = torch.stack([value for _, losses in self._pending for value in losses.values()])
        values = self.job.world.mean(stacked).tolist()
        steps, self._pending = len(self._pending), []
        for (step, name), value in zip(rows, values, strict=True):
            if not math.isfinite(value):
                raise Diverged(step, f"expected a finite `{name}`, found {value} at step {step}")
            self.state.sums[name] = self.state.sums.get(name, 0.0) + value
            self.state.counts[name] = self.state.counts.get(name, 0) + 1
        now = time.perf_counter()
        self._stepping += now - self._looked
        self._stepped += steps
        self._looked = now
        self._gradients.write(forgets=not self.job.world.is_main)
        self.observer.progress(self._progress())

    @property
    def _rate(self) -> float:
        """Samples per second of the steps of this session, evaluation left out."""
        return self.job.batch * self._stepped / max(self._stepping, 1e-9)

    def _progress(self) -> Progress:
        step, stepper = self.state.step, self.stepper
        left = (self.total - step) * self._stepping / max(self._stepped, 1)
        return Progress(step, stepper.epoch, self.state.losses(), stepper.lr, self._rate, left)

    def _record(self, *, measures: bool) -> None:
        """Measure if it is time, and write a line of the history; then the sums begin anew."""
        state = self.state
        if measures:
            self.stepper.fit()
        validation = self._validate() if measures else {}
        followed = validation if state.step >= self.job.settled else {}
        best = self._note_best(followed)
        self._note_patience(followed)
        state.seconds += time.perf_counter() - self._began
        self._began = time.perf_counter()
        record = EpochEnd(
            step=state.step,
            epoch=self.stepper.epoch,
            losses=state.losses(),
            lr=self.stepper.lr,
            rate=self._rate,
            seconds=state.seconds,
            validation=validation,
            best=best,
        )
        if self.job.world.is_main:
            self._history.append(record)
            self._show(measures=measures)
        state.sums, state.counts = {}, {}
        if best or state.ended:
            self._save()
        self.observer.epoch_end(record)
        if state.ended:
            self._tell_end()
        self._check_gates(validation)
        self._looked = time.perf_counter()

    def _check_gates(self, validation: Mapping[str, float]) -> None:
        """Raises: NetwrightError: R909: a figure lies where `stop_if` ends the run; it is saved."""
        job, step = self.job, self.state.step
        error = gate_error(job.settings.stop_if, validation, step, self.total)
        if error is None:
            return
        self._save()
        self._fail(error, lambda: note_gate(job.folder, error, step, self.total))

    def _show(self, *, measures: bool) -> None:
        """Let the networks make samples as often as validation samples are measured."""
        if measures:
            if self.state.ended or self._gallery.is_due(-(-self.state.step // self._interval)):
                self._gallery.take(self.state.step, self.stepper.averaged())
            for text in self._samples.take(self.state.step, self.stepper.averaged()):
                self.observer.tell(text)

    def _tell_end(self) -> None:
        patience = self.job.patience
        assert patience is not None, "nothing else ends a run before its last step"
        self.observer.tell(
            f"ended at step {self.state.step} of {self.total}: `{patience.goal.figure}` has not "
            f"got better in {patience.measurements} measurements"
        )

    def _validate(self) -> dict[str, float]:
        job = self.job
        if job.validation is None:
            return {}
        size, figures = 2 * job.settings.batch, job.figures()
        with self.stepper.averaged():
            found = measure(
                job.objective, job.validation, size, figures, self.state.step, job.world
            )
            return {**found, **job.judged(job.validation).figures}

    def _note_best(self, validation: Mapping[str, float]) -> bool:
        goal, state = self.job.goal, self.state
        if goal is None or not validation:
            return False
        if not goal.better(validation[goal.figure], state.best_value):
            return False
        state.best_step, state.best_value = state.step, validation[goal.figure]
        return True

    def _note_patience(self, validation: Mapping[str, float]) -> None:
        patience, state = self.job.patience, self.state
        if patience is None or not validation:
            return
        value = validation[patience.goal.figure]
        if patience.goal.better(value, state.closest, patience.min_delta):
            state.closest, state.stale = value, 0
            return
        state.stale += 1
        state.ended = state.stale >= patience.measurements

    def _save(self) -> None:
        """Write a checkpoint, then delete the ones that are no longer needed."""
        if self._saved == self.state.step:
            return
        step = self.state.step
        bad = self._first_bad()
        if bad is not None:
            raise Diverged(
                step, f"expected finite numbers in `{bad}`, found NaN or infinity after step {step}"
            )
        self.job.world.lead(self._write)
        self._saved = step

    def _first_bad(self) -> str | None:
        return self.job.world.first(first_bad_tensor(self.stepper.parts))

    def _write(self) -> None:
        folder, state = self.job.folder, self.state
        if self.is_grown:  # the run goes on from the next stage's state of this step
            checkpoint.save(kept(folder, self.job.stage), state.step, self.stepper.snapshot())
            return
        checkpoint.save(folder, state.step, self.stepper.snapshot())
        # Later ones are damaged, or the run would have gone on from there.
        keep = [step for step in checkpoint.steps(folder) if step <= state.step][:KEPT]
        best = [] if state.best_step is None else [state.best_step]
        checkpoint.prune(folder, [*keep, *best])

    def go_on(self, saved: checkpoint.Checkpoint) -> None:
        """Continue where a checkpoint was written.

        Raises: NetwrightError: R902: it has other weights. Damaged: it lacks something.
        """
        self.stepper.restore(saved)
        threads = saved.data.get("threads")
        if threads != torch.get_num_threads():
            self.observer.warn(
                f"the run began with {threads} threads and goes on with {torch.get_num_threads()}: "
                "the last digits of its weights may differ from an uninterrupted run's"
            )
        keep_true(self.job, self.state, self.observer.warn)
        self._begin_again()

    def _begin_again(self) -> None:
        """Forget what was read and written of steps after the current one."""
        self._pending, self._saved = [], self.state.step
        for name, lost in self.job.world.lead(self._cut).items():
            if lost:
                self.observer.warn(f"lines of `{name}` that can't be read were left out: {lost}")
        self._began = self._looked = time.perf_counter()

    def _cut(self) -> dict[str, int]:
        """Returns: file -> how many of its lines can't be read."""
        step = self.state.step
        self._gallery.cut(step)
        return {
            METRICS: self._history.cut(step),
            GRADIENTS: self._gradients.cut(step),
            SAMPLES: self._samples.cut(step),
        }

    def _rewind(self, diverged: Diverged) -> None:
        """Find the layer that broke; go back to a checkpoint if the spec says so.

        Raises: NetwrightError: R904.
        """
        job, warn, settings = self.job, self.observer.warn, self.job.settings.on_divergence
        rewinds, rewound = self.state.rewinds, self.state.rewound
        newest = newest_checkpoint(job.folder, job.world, warn)
        assert newest is not None, "one is written before the first step"
        place = locate(self.stepper, diverged, newest)
        if settings.action == "stop" or rewinds >= settings.most:
            self._end(diverged.error(place, newest.step, rewinds), diverged.step, rewinds)
        saved, why = destination(job, newest, rewound, warn)
        with checkpoint.taken_back(saved):
            self.stepper.restore(saved)
        self.state.rewinds, self.state.rewound = rewinds + 1, saved.step
        self.stepper.slow_down()
        keep_true(job, self.state, warn)
        job.world.lead(lambda: turn_back(saved, self.state, job.folder))
        self._begin_again()
        warn(
            f"{diverged}; {place.text}; {why}going on from step {saved.step} with the learning "
            f"rate times {settings.lr_factor:g} (rewind {rewinds + 1} of {settings.most})"
        )

    def _end(self, error: NetwrightError, step: int, rewinds: int) -> None:
        """Raises: the error, R904, which all processes have found; the run's folder tells it."""
        folder, total = self.job.folder, self.total
        self._fail(error, lambda: note_divergence(folder, error, step, total, rewinds))

    def _fail(self, error: NetwrightError, note: Callable[[], None]) -> None:
        """Raises: the error, which all processes have found; one writes it down before."""
        world = self.job.world

        def fail() -> None:
            if world.is_main:
                note()
            raise error

        world.together(fail)
