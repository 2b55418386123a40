"""Golden values: outputs of the published implementations, and how ours are compared with them.

A golden file is a compressed npz with `param/…`, `in/…`, `out/…` and a JSON text `meta`. Each family of files has a
module here whose functions are registered by file name (`register_check`); `tools/analysis_tools/check_parity.py` runs
them.
"""

from . import pastis, utae
from .golden import CheckReport, Comparison, GoldenFile, check_file, find_check, register_check

__all__ = ['CheckReport', 'Comparison', 'GoldenFile', 'check_file', 'find_check', 'pastis', 'register_check', 'utae']
