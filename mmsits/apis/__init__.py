"""Use trained models from Python."""

from .domains import TrainedNetwork, load_network, open_domains, unlabelled_batches
from .inference import init_model, predict_sample
from .inferencer import MapResult, SITSInferencer
from .map_job import MapOptions
from .parcel_tables import PartedTable, classify_parcels, predict_parcels
from .shifts import ShiftEstimate, estimate_shift

__all__ = [
    'MapOptions',
    'MapResult',
    'PartedTable',
    'SITSInferencer',
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
