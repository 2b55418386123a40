"""Use trained models from Python."""

from .domains import TrainedNetwork, load_network, open_domains, unlabelled_batches
from .inference import init_model, predict_sample
from .parcel_tables import PartedTable, classify_parcels, predict_parcels
from .shifts import ShiftEstimate, estimate_shift

__all__ = [
    'PartedTable',
    'ShiftEstimate',
    'TrainedNetwork',
    'classify_parcels',
    'estimate_shift',
    'init_model',
    'load_network',
    'open_domains',
    'predict_parcels',
    'predict_sample',
    'unlabelled_batches',
]
