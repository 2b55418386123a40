"""Use trained models from Python."""

from .domains import TrainedNetwork, load_network, open_domains, unlabelled_batches
from .inference import init_model, predict_sample
from .shifts import ShiftEstimate, estimate_shift

__all__ = [
    'ShiftEstimate',
    'TrainedNetwork',
    'estimate_shift',
    'init_model',
    'load_network',
    'open_domains',
    'predict_sample',
    'unlabelled_batches',
]
