"""mmsits: satellite image time series for MMSegmentation.

Importing the package registers its datasets, transforms, models, hooks and metrics in the registries of mmseg.
"""

import contextlib
import io
import warnings

# mmcv says so wherever its compiled operations are missing; nothing here uses them.
warnings.filterwarnings('ignore', 'Fail to import', UserWarning, 'mmcv')
# mmseg prints, here or with the first dataset that is built, that an optional package is missing; nothing here uses it.
with contextlib.redirect_stdout(io.StringIO()):
    import mmseg.datasets  # noqa: F401

from . import datasets, engine, evaluation, models, structures, visualization  # noqa: E402
from .version import __version__  # noqa: E402

__all__ = ['__version__', 'datasets', 'engine', 'evaluation', 'models', 'structures', 'visualization']
