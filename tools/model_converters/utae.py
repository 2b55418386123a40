#!/usr/bin/env python3
"""Convert weights of the published U-TAE (https://github.com/VSainteuf/utae-paps) to a checkpoint of this library.

Takes the semantic network's `model.pth.tar`, or the panoptic one's, of which only the backbone is kept. Prints the
options that the weights belong to. Use `norm_over_padding=True` in the backbone to get the published numbers on padded
batches.

    python tools/model_converters/utae.py Fold_1/model.pth.tar utae_fold1.pth
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, held_parts, run_conversion
from mmsits.models.converters import convert_utae, utae_options


def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and options of this library."""
    converted = convert_utae(published)
    return converted, held_parts(utae_options(published), converted)


def main() -> int:
    return run_conversion(conversion_parser(__doc__).parse_args(), convert)


if __name__ == '__main__':
    sys.exit(main())
