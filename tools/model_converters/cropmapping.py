#!/usr/bin/env python3
"""Convert weights of the published CropMapping networks (Rangzan and Ramezanpour) to a checkpoint of this library.

Takes the state dict of the pre-trained network (21 classes of EUCROPMAP) or of the fine-tuned one (8 crops). Prints the
options that the weights belong to. The weights were trained on values brought to 0 … 1 patch by patch: see
docs/cropmapping.md for the pipeline that goes with them.

    python tools/model_converters/cropmapping.py StateDict_epoch11_EU.pth siamese_unet3d_eurocropmap.pth
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, held_parts, run_conversion
from mmsits.models.converters import convert_cropmapping, cropmapping_options


def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and options of this library."""
    converted = convert_cropmapping(published)
    return converted, held_parts(cropmapping_options(published), converted)


def main() -> int:
    return run_conversion(conversion_parser(__doc__).parse_args(), convert)


if __name__ == '__main__':
    sys.exit(main())
