"""Small specs of generative networks, and how tests train and export them."""

from __future__ import annotations

from pathlib import Path

from netwright.runtime.export import export_run
from netwright.runtime.train import train

from .runtime.tiny import compile_text

VAE = """\
spec: v1
name: tiny_vae
data: {source: digits}
networks:
  encoder:
    inputs: {image: {shape: [B, 1, 8, 8]}}
    layers:
      - flatten
      - {id: hidden, linear: 32}
      - {id: act, silu: {}}
      - {id: mean, from: act, linear: 3}
      - {id: logvar, from: act, linear: 3}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 3]}}
    layers:
      - {id: read, from: z, linear: 32}
      - silu
      - linear: 64
      - reshape: [1, 8, 8]
    outputs: logits
objective:
  vae: {encoder: encoder, decoder: decoder, target: image, likelihood: bernoulli}
training: {seed: 0, batch: 64, epochs: 2, optimizer: {adamw: {lr: 3e-3}}, device: cpu}
"""

CONDITIONAL = VAE.replace(
    "{z: {shape: [B, 3]}}", "{z: {shape: [B, 3]}, label: {shape: [B], dtype: int64}}"
).replace(
    "      - {id: read, from: z, linear: 32}\n",
    "      - {id: class, from: label, one_hot: 10}\n"
    "      - {from: [z, class], concat: {}}\n"
    "      - linear: 32\n",
)
"""Its decoder is told which digit to make."""

TABLE = """\
spec: v1
name: table_vae
data:
  source: {csv: {path: rooms.csv, columns: {x: [size, price]}}}
  fields: {x: {shape: [B, 2], normalize: training}}
networks:
  encoder:
    inputs: {x: {shape: [B, 2]}}
    layers:
      - {id: mean, from: x, linear: 1}
      - {id: logvar, from: x, linear: 1}
    outputs: {mean: mean, logvar: logvar}
  decoder:
    inputs: {z: {shape: [B, 1]}}
    layers: [{linear: 2}]
    outputs: y
objective:
  vae: {encoder: encoder, decoder: decoder, target: x, likelihood: {gaussian: 0.5}}
training: {batch: 8, epochs: 2, device: cpu}
"""
"""Of rows that have no images."""

FOLDER = VAE.replace(
    "source: digits", "source: {image_folder: {path: shapes, size: [8, 8], fit: crop, mode: grey}}"
)
"""Of images in files."""


def exported(text: str, folder: Path) -> Path:
    """The run of a spec, with its bundle; the data's paths are relative to the folder."""
    result = train(compile_text(text=text, folder=folder), output=folder / "run", device="cpu")
    export_run(result.folder)
    return result.folder
