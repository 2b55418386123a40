"""Golden values: outputs of the published implementations, and how ours are compared with them.

A golden file is a compressed npz with `param/…`, `in/…`, `out/…` and a JSON text `meta`. Each family of files has a
module here whose functions are registered by file name (`register_check`); `tools/analysis_tools/check_parity.py` runs
them. Every module of this folder is imported: a new family is a new file.
"""

from importlib import import_module
from pkgutil import iter_modules

from .golden import CheckReport, Comparison, GoldenFile, check_file, find_check, register_check

for _module in iter_modules(__path__):
    import_module(f'{__name__}.{_module.name}')

__all__ = ['CheckReport', 'Comparison', 'GoldenFile', 'check_file', 'find_check', 'register_check']
