#!/usr/bin/env python3
"""Convert weights of the published SL-GT2Net (https://github.com/RSIP-NJUPT/SL-GT2Net, on mmsegmentation 0.x) to a
checkpoint of this library.

Prints the options that the weights belong to. What weights do not tell (sizes of windows, heads, sparsity) is printed
as the published configs have it. The published normalisation and classes are those of the dataset config.

    python tools/model_converters/slgt2net.py iter_40000.pth slgt2net_slovenia.pth
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights, trust_checkpoints
from mmsits.engine.files import write_atomically
from mmsits.models.converters import convert_slgt2net, slgt2net_options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    parser.add_argument(
        '--channel-refinement', action='store_true', help='keep the weights of the blocks that the published code skips'
    )
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read files that hold Python objects, which may run code: only from people you trust',
    )
    args = parser.parse_args()
    trust_checkpoints(args.trust_checkpoint)
    try:
        published = read_published_weights(args.source)
        options = slgt2net_options(published)
        if args.channel_refinement:
            options['backbone']['channel_refinement'] = True
        converted = convert_slgt2net(published, options)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    content = io.BytesIO()
    torch.save({'state_dict': converted}, content)
    write_atomically(args.target, content.getvalue())
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in options.items():
        print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
