#!/usr/bin/env python3
"""Convert weights of the published U-TAE (https://github.com/VSainteuf/utae-paps) to a checkpoint of this library.

Takes the semantic network's `model.pth.tar`, or the panoptic one's, of which only the backbone is kept. Prints the
options that the weights belong to. Use `norm_over_padding=True` in the backbone to get the published numbers on padded
batches.

    python tools/model_converters/utae.py Fold_1/model.pth.tar utae_fold1.pth
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights, trust_checkpoints
from mmsits.engine.files import write_atomically
from mmsits.models.converters import convert_utae, utae_options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read files that hold Python objects, which may run code: only from people you trust',
    )
    args = parser.parse_args()
    trust_checkpoints(args.trust_checkpoint)
    try:
        published = read_published_weights(args.source)
        converted = convert_utae(published)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    content = io.BytesIO()
    torch.save({'state_dict': converted}, content)
    write_atomically(args.target, content.getvalue())
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in utae_options(published).items():
        if any(key.startswith(f'{part}.') for key in converted):
            print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
