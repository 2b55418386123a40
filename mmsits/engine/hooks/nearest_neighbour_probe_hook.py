"""How much a representation that is learnt without labels knows of the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmseg.registry import DATASETS, HOOKS
from torch.utils.data import DataLoader, Subset

from mmsits.engine.errors import ConfigError
from mmsits.engine.hooks.stateful_hook import StatefulHook

IGNORED = 255


@HOOKS.register_module()
class NearestNeighbourProbeHook(StatefulHook):
    """Every so many iterations classify labelled samples by their nearest neighbours, by cosine, among other labelled
    samples in the space of the backbone's features (Wu et al., CVPR 2018). The labels train nothing.

    Args:
        reference: config of the dataset of samples whose labels are known.
        probed: config of the dataset of samples that are classified, to be scored.
        interval: iterations between two probes; there is one before the first and one at the end, too.
        neighbours: how many vote, weighted by nearness.
        max_samples: of each dataset at most so many, chosen at random, the same every time.
        batch_size: samples encoded at once.

    Attributes:
        history: one dict per probe: `iter`, `overall_accuracy`, `macro_f1` (over classes that occur), both 0 to 1.

    Raises:
        ConfigError: if an option is out of range, the model gives no features, or samples have no label or several.
    """

    def __init__(
        self,
        reference: dict[str, Any],
        probed: dict[str, Any],
        interval: int = 1000,
        neighbours: int = 20,
        max_samples: int = 5000,
        batch_size: int = 512,
    ) -> None:
        if min(interval, neighbours, max_samples, batch_size) < 1:
            raise ConfigError(
                'NearestNeighbourProbeHook: interval, neighbours, max_samples and batch_size are 1 or more'
            )
        self.configs = dict(reference=reference, probed=probed)
        self.interval, self.neighbours = interval, neighbours
        self.max_samples, self.batch_size = max_samples, batch_size
        self.history: list[dict[str, Any]] = []
        self._loaders: dict[str, DataLoader] = {}

    def before_train(self, runner: Any) -> None:
        """Open the datasets, and probe what is to be trained."""
        if not is_main_process():
            return
        self._loaders = {name: self._open(config) for name, config in self.configs.items()}
        if runner.iter == 0 and not self.history:
            self._probe(runner, 0)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Probe at the end of an interval, and of the training."""
        done = runner.iter + 1
        if is_main_process() and (done % self.interval == 0 or done == runner.max_iters):
            self._probe(runner, done)

    def _open(self, config: dict[str, Any]) -> DataLoader:
        from mmsits.datasets import identity_collate

        dataset: Any = DATASETS.build(config)
        if hasattr(dataset, 'full_init'):
            dataset.full_init()
        if len(dataset) > self.max_samples:
            chosen = np.sort(np.random.default_rng(0).choice(len(dataset), self.max_samples, replace=False))
            dataset = Subset(dataset, chosen.tolist())
        return DataLoader(dataset, self.batch_size, collate_fn=identity_collate)

    def _probe(self, runner: Any, done: int) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'extract_features'):
            raise ConfigError(f'NearestNeighbourProbeHook: {type(model).__name__} gives no features (SeriesMoCo does)')
        features = {name: encode_samples(model, loader) for name, loader in self._loaders.items()}
        accuracy, macro_f1 = nearest_neighbour_scores(*features['reference'], *features['probed'], self.neighbours)
        self.history.append(dict(iter=done, overall_accuracy=accuracy, macro_f1=macro_f1))
        runner.logger.info(
            f'{self.neighbours} nearest neighbours after {done} iterations: overall accuracy {100 * accuracy:.2f} %, '
            f'macro F1 {100 * macro_f1:.2f} %'
        )
        if getattr(runner, 'visualizer', None) is not None:
            scalars = {'neighbours/overall_accuracy': accuracy, 'neighbours/macro_f1': macro_f1}
            runner.visualizer.add_scalars(scalars, step=done)

    def state_dict(self) -> dict[str, Any]:
        """Entries so far."""
        return dict(history=self.history)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.history = list(state['history'])


@torch.no_grad()
def encode_samples(model: Any, loader: Any) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, C') and labels (n,) of the labelled samples of a dataset, in evaluation mode.

    Raises:
        ConfigError: if samples have no label, or more than one.
    """
    training = model.training
    model.eval()
    features, labels = [], []
    for data in loader:
        batch = model.data_preprocessor(data, False)
        targets = batch.get('targets')
        if targets is None or targets[0].numel() != 1:
            number = 'none' if targets is None else f'{targets[0].numel()} each'
            raise ConfigError(f'NearestNeighbourProbeHook needs samples with one label (pixels, parcels), got {number}')
        labels.append(targets.flatten().cpu())
        features.append(model.extract_features(batch['inputs']).float().cpu())
    model.train(training)
    found, known = torch.cat(features).numpy(), torch.cat(labels).numpy()
    return found[known != IGNORED], known[known != IGNORED]


def nearest_neighbour_scores(
    features: np.ndarray, labels: np.ndarray, probed: np.ndarray, truth: np.ndarray, neighbours: int
) -> tuple[float, float]:
    """Overall accuracy and macro F1 of a classification by nearest neighbours.

    Args:
        features: (n, D) of samples whose `labels` (n,) are known.
        labels: their classes.
        probed: (m, D).
        truth: (m,), their classes.
        neighbours: how many vote.

    Returns:
        Both 0 to 1; F1 is the mean over classes that occur in `truth` or in the prediction.

    Raises:
        ConfigError: if there is no labelled sample.
    """
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.neighbors import KNeighborsClassifier

    if not len(labels) or not len(truth):
        raise ConfigError('NearestNeighbourProbeHook: a dataset has no labelled sample')
    classifier = KNeighborsClassifier(min(neighbours, len(labels)), weights='distance', metric='cosine')
    predicted = classifier.fit(features, labels).predict(probed)
    return float(accuracy_score(truth, predicted)), float(f1_score(truth, predicted, average='macro', zero_division=0))
