"""Which samples to label next, and what labels others may be given without looking."""

from .fuzzy_clusters import FuzzyClusters, fuzzy_c_means, propose_from_clusters
from .selection import choose, core_set_order, entropy_scores, margin_scores
from .time_warping import class_prototypes, on_common_days, propose_from_distances, time_weighted_distances

__all__ = [
    'FuzzyClusters',
    'choose',
    'class_prototypes',
    'core_set_order',
    'entropy_scores',
    'fuzzy_c_means',
    'margin_scores',
    'on_common_days',
    'propose_from_clusters',
    'propose_from_distances',
    'time_weighted_distances',
]
