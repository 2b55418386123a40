#!/usr/bin/env python3
"""Convert weights of the published SL-GT2Net (https://github.com/RSIP-NJUPT/SL-GT2Net, on mmsegmentation 0.x) to a
checkpoint of this library.

Prints the options that the weights belong to. What weights do not tell (sizes of windows, heads, sparsity) is printed
as the published configs have it. The published normalisation and classes are those of the dataset config.

    python tools/model_converters/slgt2net.py iter_40000.pth slgt2net_slovenia.pth
"""

from __future__ import annotations

import sys
from typing import Any

from torch import Tensor

from mmsits.engine.weight_conversion import conversion_parser, run_conversion
from mmsits.models.converters import convert_slgt2net, slgt2net_options


def main() -> int:
    parser = conversion_parser(__doc__)
    parser.add_argument(
        '--channel-refinement', action='store_true', help='keep the weights of the blocks that the published code skips'
    )
    args = parser.parse_args()

    def convert(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
        options = slgt2net_options(published)
        if args.channel_refinement:
            options['backbone']['channel_refinement'] = True
        return convert_slgt2net(published, options), options

    return run_conversion(args, convert)


if __name__ == '__main__':
    sys.exit(main())
