"""mmsits: satellite image time series for MMSegmentation.

Importing the package registers its datasets, transforms, models, hooks and metrics in the registries of mmseg.
"""

from . import datasets, engine, evaluation, models, structures, visualization
from .version import __version__

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'structures', 'visualization']
