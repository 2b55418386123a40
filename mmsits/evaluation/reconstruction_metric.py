"""How well masked pre-training reconstructs what was hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS


@METRICS.register_module()
class ReconstructionMetric(BaseMetric):
    """Mean squared error of hidden values, in units of the normalisation, over the whole dataset.

    `reconstruction_mse` is the mean over all hidden values of all sensors; with several sensors,
    `reconstruction_mse/<sensor>` is that of each. 1 is about what the mean of a band reaches. NaN where nothing was
    hidden. Reads what `MaskedSeriesModel` predicts; exact however the data were split.
    """

    default_prefix = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep the sums of a batch."""
        self.results.extend(sample['errors'] for sample in data_samples)

    def compute_metrics(self, results: list[dict[str, tuple[float, float]]]) -> dict[str, float]:
        """Add up: sensor -> (sum of squared errors, number of values) of each batch."""
        sensors = sorted({sensor for errors in results for sensor in errors})
        sums = {
            sensor: tuple(sum(errors[sensor][part] for errors in results if sensor in errors) for part in (0, 1))
            for sensor in sensors
        }
        total = _mean(sum(value for value, _ in sums.values()), sum(count for _, count in sums.values()))
        scores = {'reconstruction_mse': total}
        if len(sums) > 1:
            scores |= {f'reconstruction_mse/{sensor}': _mean(*pair) for sensor, pair in sums.items()}
        return scores


def _mean(value: float, count: float) -> float:
    return value / count if count else float('nan')
