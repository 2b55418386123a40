#!/usr/bin/env python3
"""Convert weights of the published TimeMatch (https://github.com/jnyborg/timematch) to a checkpoint of this library.

Takes `model.pt` of any of its networks: pixel-set encoder with L-TAE (pseltae), TAE (psetae), GRU (psegru) or TempCNN
(psetcnn). Prints the options that the weights belong to. To train on exactly as published, use
`padded_pixels='copies_in_norms'` in the backbone; predictions are the same without.

    python tools/model_converters/timematch.py outputs/pseltae_france_30TXT/fold_0/model.pt pseltae_fr1_fold0.pth
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights, trust_checkpoints
from mmsits.engine.files import write_atomically
from mmsits.models.converters import convert_timematch, timematch_options


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
        converted = convert_timematch(published)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    content = io.BytesIO()
    torch.save({'state_dict': converted}, content)
    write_atomically(args.target, content.getvalue())
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in timematch_options(published).items():
        print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
