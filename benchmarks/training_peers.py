"""Other libraries' trainers as sides of the training benchmarks, where they are installed."""

from __future__ import annotations

import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from training_jobs import LR, Job
from training_sides import GoesOn, Resident, device, hits, loaders, one_cycle, synchronise


def is_installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


class LightningSide:
    """Lightning's Trainer over the hand-written network, with the tutorials' DataLoader.

    Bar, logger and checkpoints are off. tuned: with the tricks of `Best` instead: data on the
    device, channels_last, fused AdamW.
    """

    def __init__(
        self, job: Job, folder: Path, total: int, *, workers: int = 0, tuned: bool = False
    ) -> None:
        import lightning

        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        self._lightning, self._job, self._folder = lightning, job, folder
        self._total, self._tuned, self._workers = total, tuned, workers
        self.module = job.module()
        if tuned and job.has_images:
            self.module = self.module.to(memory_format=torch.channels_last)

    def train(self, goes_on: GoesOn) -> None:
        trainer = self._lightning.Trainer(
            max_steps=self._total,
            max_epochs=-1,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[self._stopper(goes_on)],
        )
        trainer.fit(self._wrapped(), self._batches())

    def _batches(self) -> Any:
        if not self._tuned:
            return loaders(self._job, self._folder, self._workers)[0]
        return _Shuffled(self._job, Resident(self._job, self._job.read(self._folder, "train")))

    def _stopper(self, goes_on: GoesOn) -> Any:
        class Stopper(self._lightning.Callback):
            def on_train_batch_end(self, trainer: Any, *others: Any) -> None:
                trainer.should_stop = not goes_on()

        return Stopper()

    def _wrapped(self) -> Any:
        module, total, tuned = self.module, self._total, self._tuned

        class Wrapped(self._lightning.LightningModule):
            def __init__(self) -> None:
                super().__init__()
                self.module = module

            def training_step(self, batch: Any, index: int) -> Any:
                images, labels = batch
                loss = F.cross_entropy(self.module(images), labels)
                if not tuned:
                    self.log("train_loss", loss)
                return loss

            def configure_optimizers(self) -> Any:
                fused = True if tuned else None
                optimizer = torch.optim.AdamW(self.parameters(), lr=LR, fused=fused)
                schedule = torch.optim.lr_scheduler.OneCycleLR(
                    optimizer, LR, total, cycle_momentum=False
                )
                lr = {"scheduler": schedule, "interval": "step"}
                return {"optimizer": optimizer, "lr_scheduler": lr}

        return Wrapped()

    def synchronise(self) -> None:
        synchronise()

    def accuracy(self) -> float:
        self.module.to(device())
        test = Resident(self._job, self._job.read(self._folder, "test"))
        return hits(self.module, test.batches(torch.arange(len(test)), 2 * self._job.batch))


class _Shuffled:
    """A part on the device as an iterable with a length, which Lightning takes for a loader."""

    def __init__(self, job: Job, part: Resident) -> None:
        self._part, self._batch, self._length = part, job.batch, job.steps_per_epoch

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Any:
        order = torch.randperm(len(self._part))[: self._length * self._batch]
        return self._part.batches(order, self._batch)


class KerasSide:
    """Keras' `fit` over the same network in Keras, arrays normalised beforehand, channels last."""

    def __init__(self, job: Job, folder: Path, total: int, *, backend: str) -> None:
        os.environ["KERAS_BACKEND"] = backend
        import keras

        self._keras, self._job, self._total, self._backend = keras, job, total, backend
        self._train = self._arrays(folder, "train")
        self._test = self._arrays(folder, "test")
        self._model = _MODELS[job.name](keras)
        by_hand = sum(parameter.numel() for parameter in job.module().parameters())
        assert sum(np.prod(v.shape) for v in self._model.trainable_variables) == by_hand
        self._model.compile(
            optimizer=keras.optimizers.AdamW(self._schedule(), weight_decay=0.01),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def _arrays(self, folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
        found = self._job.read(folder, part)
        inputs = self._job.normalised(found.inputs)
        if self._job.has_images:
            inputs = np.ascontiguousarray(inputs.transpose(0, 2, 3, 1))
        return inputs, found.labels

    def _schedule(self) -> Any:
        keras, total = self._keras, self._total
        rates = np.array([one_cycle(step, total) for step in range(total + 1)], np.float32)

        class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
            def __call__(self, step: Any) -> Any:
                index = keras.ops.minimum(keras.ops.cast(step, "int32"), total)
                return keras.ops.take(keras.ops.convert_to_tensor(rates), index)

        return OneCycle()

    def train(self, goes_on: GoesOn) -> None:
        class Asker(self._keras.callbacks.Callback):
            """Asks before each step but the first: Keras need not wait for a step's loss then."""

            is_first = True

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                if self.is_first:
                    self.is_first = False
                elif not self.model.stop_training:
                    self.model.stop_training = not goes_on()

        inputs, labels = self._train
        whole = self._job.steps_per_epoch * self._job.batch  # or a last batch is compiled anew
        self._model.fit(
            inputs[:whole],
            labels[:whole],
            batch_size=self._job.batch,
            epochs=10**6,
            verbose=0,
            callbacks=[Asker()],
        )

    def synchronise(self) -> None:
        if self._backend == "jax":
            import jax

            # Keras' own kinds of dict and list are no trees to JAX, which would wait for nothing.
            jax.block_until_ready([list(part) for part in self._model._jax_state.values()])
        else:
            synchronise()

    def accuracy(self) -> float:
        inputs, labels = self._test
        scores = self._model.predict(inputs, batch_size=2 * self._job.batch, verbose=0)
        return float((scores.argmax(1) == labels).mean())


def _conv(keras: Any, channels: int, kernel: int, stride: int = 1) -> Any:
    """Convolution without offset, padded as PyTorch does it, and batch norm with its constants."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.ZeroPadding2D(kernel // 2),
            layers.Conv2D(channels, kernel, stride, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
        ]
    )


def _fashion_cnn(keras: Any) -> Any:
    layers = keras.layers

    def block(channels: int) -> list[Any]:
        return [
            layers.Conv2D(channels, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.MaxPooling2D(2),
        ]

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *block(32),
            *block(64),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(128, "relu"),
            layers.Dropout(0.25),
            layers.Dense(10),
        ]
    )


def _resnet18(keras: Any) -> Any:
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    x = layers.ReLU()(_conv(keras, 64, 7, 2)(image))
    # What is padded with zeros after a ReLU has the maximum that -infinity would give.
    x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for channels, first in ((64, 1), (128, 2), (256, 2), (512, 2)):
        for stride in (first, 1):
            y = layers.ReLU()(_conv(keras, channels, 3, stride)(x))
            y = _conv(keras, channels, 3)(y)
            same = x.shape[-1] == channels and stride == 1
            skip = x if same else _conv(keras, channels, 1, stride)(x)
            x = layers.ReLU()(layers.Add()([y, skip]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def _table_mlp(keras: Any) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(128, "relu"), layers.Dense(128, "relu")]
    return keras.Sequential([keras.Input((20,)), *hidden, layers.Dense(4)])


_MODELS = {"fashion_cnn": _fashion_cnn, "resnet18_32": _resnet18, "table_mlp": _table_mlp}
