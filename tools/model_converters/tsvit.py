#!/usr/bin/env python3
"""Convert weights of the published TSViT (https://github.com/michaeltrs/DeepSatModels) to a checkpoint of this library.

Takes the dense network, that for whole images, and the variants of the paper. Prints the options that the weights
belong to; add `first_day`, the day of the year of the model's reference date, where days do not count from 1 January.

    python tools/model_converters/tsvit.py best.pth tsvit_pastis.pth --image-size 24 --num-heads 4
    python tools/test.py configs/tsvit/tsvit_100e_pastis24-fold1.py tsvit_pastis.pth

The configs of PASTIS24 and MTLCC have the published classes, normalisation and days, so weights of these need nothing
else.
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, run_conversion
from mmsits.models.converters import convert_tsvit, tsvit_options


def main() -> int:
    parser = conversion_parser(__doc__)
    parser.add_argument('--image-size', type=int, default=24, help='side of the images it was trained on, in pixels')
    parser.add_argument('--num-heads', type=int, default=4)
    args = parser.parse_args()

    def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        options = tsvit_options(published, args.image_size, args.num_heads)
        return convert_tsvit(published, options), options

    return run_conversion(args, convert)


if __name__ == '__main__':
    sys.exit(main())
