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

import argparse
import io
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights, trust_checkpoints
from mmsits.engine.files import write_atomically
from mmsits.models.converters import convert_sitsmoco, sitsmoco_options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    parser.add_argument(
        '--transformer', action='store_true', help='of the Transformer, which has the same weights as STNet'
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
        converted = convert_sitsmoco(published, stnet=not args.transformer)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    content = io.BytesIO()
    torch.save({'state_dict': converted}, content)
    write_atomically(args.target, content.getvalue())
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in sitsmoco_options(published, stnet=not args.transformer).items():
        print(f'{part}={_as_config(config)}')
    return 0


def _as_config(config: object) -> str:
    if not isinstance(config, dict):
        return repr(config)
    return f'dict({", ".join(f"{name}={_as_config(value)}" for name, value in config.items())})'


if __name__ == '__main__':
    sys.exit(main())
