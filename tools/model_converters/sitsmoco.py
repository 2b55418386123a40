#!/usr/bin/env python3
"""Convert weights of the published SITS-MoCo (https://github.com/YXu556/SITS-MoCo) to a checkpoint of this library.

Takes a trained STNet, Transformer, L-TAE, LSTM or TempCNN, or a pre-training with MoCo, which gives a checkpoint for
`SeriesMoCo` and, through `WeightTransferHook`, for `load_from` of an STNet. Prints the options that the weights belong
to. They make the networks treat padding as published; without `padding_in_norms` and `zeros_where_invalid` predictions
do not depend on padding.

    python tools/model_converters/sitsmoco.py results/moco/model_best.pth moco_transformer.pth
    python tools/model_converters/sitsmoco.py results/transformer/model_best.pth transformer.pth --transformer
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, run_conversion
from mmsits.models.converters import convert_sitsmoco, sitsmoco_options


def main() -> int:
    parser = conversion_parser(__doc__)
    parser.add_argument(
        '--transformer', action='store_true', help='of the Transformer, which has the same weights as STNet'
    )
    args = parser.parse_args()

    def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        stnet = not args.transformer
        return convert_sitsmoco(published, stnet=stnet), sitsmoco_options(published, stnet=stnet)

    return run_conversion(args, convert)


if __name__ == '__main__':
    sys.exit(main())
