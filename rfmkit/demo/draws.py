"""Random numbers that are the same on every machine and in every version of NumPy."""

from __future__ import annotations

import numpy as np


class Draws:
    """A stream of random numbers for one month of one clinic.

    NumPy promises that a bit generator gives the same bits in every version, but not that
    `Generator.gamma` turns them into the same numbers. So the bits are taken from PCG64 and every
    distribution is made of uniform numbers here.

    Parameters
    ----------
    *entropy : int
        The seed, for example the clinic's seed and the month's number.
    """

    def __init__(self, *entropy: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))

    def uniform(self, n: int) -> np.ndarray:
        """Numbers in [0, 1), multiples of 2**-53."""
        return (self._bits.random_raw(n) >> np.uint64(11)) * 2.0**-53

    def chance(self, probability: float | np.ndarray, n: int) -> np.ndarray:
        """True with the given probability."""
        return self.uniform(n) < probability

    def whole(self, low: int, high: int, n: int) -> np.ndarray:
        """Whole numbers from low to high, both included."""
        return low + np.floor(self.uniform(n) * (high - low + 1)).astype(np.int64)

    def choice(self, weights: np.ndarray | tuple[float, ...], n: int) -> np.ndarray:
        """Positions in `weights`, each in proportion to its weight."""
        edges = np.cumsum(np.asarray(weights, dtype=float))
        picked = np.searchsorted(edges, self.uniform(n) * edges[-1], side="right")
        return np.minimum(picked, edges.size - 1)

    def normal(self, n: int) -> np.ndarray:
        """Standard normal numbers (Box and Muller)."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(n)))
        return radius * np.cos(2.0 * np.pi * self.uniform(n))

    def gamma(self, shape: int, n: int) -> np.ndarray:
        """Gamma numbers of a whole shape and scale 1: sums of exponential ones (Erlang)."""
        return -np.log1p(-self.uniform(shape * n)).reshape(shape, n).sum(axis=0)

    def beta(self, a: int, b: int, n: int) -> np.ndarray:
        """Beta numbers of whole parameters."""
        first = self.gamma(a, n)
        return first / (first + self.gamma(b, n))
