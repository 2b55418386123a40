"""What weight to give a class for how often it occurs."""

from __future__ import annotations

import numpy as np

SCHEMES = ('effective_number', 'inverse', 'inverse_sqrt')


def class_weights(counts: np.ndarray, scheme: str = 'effective_number', beta: float = 0.999) -> np.ndarray:
    """Weights by which rare classes count more.

    Args:
        counts: samples, or labelled pixels, of each class, (K,).
        scheme: 'effective_number': (1 − beta) / (1 − beta ** n) for n samples (Cui et al., CVPR 2019, eq. 4): beyond
            about 1 / (1 − beta) samples a class counts no less; 'inverse': 1 / n, which makes all classes equal;
            'inverse_sqrt': 1 / √n, half way.
        beta: 0 weights nothing, towards 1 it is the inverse. Pixels of one field are no independent samples: for
            counts of pixels take a beta nearer to 1, such as 0.99999.

    Returns:
        (K,) float64, 1 on average over the classes that occur; 0 for one that does not.

    Raises:
        ValueError: if the scheme is unknown, beta out of range, or no class occurs.
    """
    if scheme not in SCHEMES or not 0 <= beta < 1:
        raise ValueError(f'expected a scheme of {SCHEMES} and 0 ≤ beta < 1, got {scheme!r} and {beta}')
    counts = np.asarray(counts, np.float64)
    occurs = counts > 0
    if not occurs.any():
        raise ValueError('no class occurs: there is nothing to weight')
    present = counts[occurs]
    if scheme == 'effective_number':
        # 1 - beta ** n without cancellation.
        weights = (1 - beta) / (-np.expm1(present * np.log(beta)) if beta else np.ones_like(present))
    else:
        weights = present ** (-1.0 if scheme == 'inverse' else -0.5)
    result = np.zeros_like(counts)
    result[occurs] = weights / weights.mean()
    return result
