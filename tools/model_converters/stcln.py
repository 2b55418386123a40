#!/usr/bin/env python3
"""Convert weights of the published STCLN (https://github.com/XiaoleiQinn/STCLN) to a checkpoint of this library.

Takes an encoder after masked pre-training (`checkpoint_99.utae.tar` of MTLCC, `checkpoint_99.sttrans.tar` of PASTIS) or
a whole network (`checkpoint_99.tar`, `model_best.tar`). Prints the options that the weights belong to, and what was
left out: modules that the published code allocates and never runs, and the head of its pre-training. An encoder is
handed to a fine-tuning as `load_from` with `WeightTransferHook`.

    python tools/model_converters/stcln.py checkpoint_99.utae.tar stcln_mtlcc.pth
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, run_conversion
from mmsits.models.converters import convert_stcln, stcln_options, unused_stcln_keys


def main() -> int:
    args = conversion_parser(__doc__).parse_args()
    unused: Counter[str] = Counter()

    def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        unused.update(_module(key) for key in unused_stcln_keys(published))
        return convert_stcln(published), stcln_options(published)

    status = run_conversion(args, convert)
    if status == 0 and unused:
        print(f'left out, as nothing uses it: {", ".join(f"{name} ({count})" for name, count in unused.items())}')
    return status


def _module(key: str) -> str:
    """The module that a published weight belongs to."""
    parts = key.removeprefix('module.').removeprefix('utae.').split('.')
    return '.'.join(parts[:2]) if parts[0] == 'temporal_encoder' else parts[0]


if __name__ == '__main__':
    sys.exit(main())
