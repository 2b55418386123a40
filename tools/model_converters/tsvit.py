#!/usr/bin/env python3
"""Convert weights of the published TSViT (https://github.com/michaeltrs/DeepSatModels) to a checkpoint of this library.

Takes the dense network, that for whole images, and the variants of the paper. Prints the options that the weights
belong to; add `first_day`, the day of the year of the model's reference date, where days do not count from 1 January.

    python tools/model_converters/tsvit.py best.pth tsvit_pastis.pth --image-size 24 --num-heads 4
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights
from mmsits.models.converters import convert_tsvit, tsvit_options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    parser.add_argument('--image-size', type=int, default=24, help='side of the images it was trained on, in pixels')
    parser.add_argument('--num-heads', type=int, default=4)
    args = parser.parse_args()
    try:
        published = read_published_weights(args.source)
        options = tsvit_options(published, args.image_size, args.num_heads)
        converted = convert_tsvit(published, options)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    torch.save({'state_dict': converted}, args.target)
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in options.items():
        print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
