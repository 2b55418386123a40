#!/usr/bin/env python3
"""Convert weights of the published TimeMatch (https://github.com/jnyborg/timematch) to a checkpoint of this library.

Takes `model.pt` of any of its networks: pixel-set encoder with L-TAE (pseltae), TAE (psetae), GRU (psegru) or TempCNN
(psetcnn). Prints the options that the weights belong to. To train on exactly as published, use
`padded_pixels='copies_in_norms'` in the backbone; predictions are the same without.

    python tools/model_converters/timematch.py outputs/pseltae_france_30TXT/fold_0/model.pt pseltae_fr1_fold0.pth
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, run_conversion
from mmsits.models.converters import convert_timematch, timematch_options


def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and options of this library."""
    converted = convert_timematch(published)
    return converted, timematch_options(published)


def main() -> int:
    return run_conversion(conversion_parser(__doc__).parse_args(), convert)


if __name__ == '__main__':
    sys.exit(main())
