"""Points whose distribution is known."""

from __future__ import annotations

import numpy as np
from netwright.compiler.objectives.sources import Ring
from netwright.runtime.data.tasks import ring_means

from .test_sequence_sources import arrays


def test_a_ring_has_points_around_its_corners() -> None:
    ring = Ring(modes=5, radius=3.0, std=0.1, samples=5000, test_samples=50)
    train, test = arrays(ring)
    assert (train["point"].dtype, train["point"].shape) == (np.float32, (5000, 2))
    means = ring_means(ring)
    assert np.allclose(means[0], [3, 0])
    assert np.allclose(np.linalg.norm(means, axis=1), 3)
    assert np.allclose(means.sum(axis=0), 0)
    for mode, mean in enumerate(means):
        own = train["point"][train["mode"] == mode]
        assert 800 < len(own) < 1200
        assert np.allclose(own.mean(axis=0), mean, atol=0.02)
        assert np.allclose(own.std(axis=0), 0.1, atol=0.01)
    assert len(test["mode"]) == 50


def test_the_same_seed_gives_the_same_points() -> None:
    rings = [Ring(samples=20, test_samples=20, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (arrays(ring)[0]["point"] for ring in rings)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
