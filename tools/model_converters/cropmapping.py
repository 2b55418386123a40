#!/usr/bin/env python3
"""Convert weights of the published CropMapping networks (Rangzan and Ramezanpour) to a checkpoint of this library.

Takes the state dict of the pre-trained network (21 classes of EUCROPMAP) or of the fine-tuned one (8 crops). Prints the
options that the weights belong to. The weights were trained on values brought to 0 … 1 patch by patch: see
docs/cropmapping.md for the pipeline that goes with them.

    python tools/model_converters/cropmapping.py StateDict_epoch11_EU.pth siamese_unet3d_eurocropmap.pth
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights
from mmsits.models.converters import convert_cropmapping, cropmapping_options


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    args = parser.parse_args()
    try:
        published = read_published_weights(args.source)
        converted = convert_cropmapping(published)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    torch.save({'state_dict': converted}, args.target)
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in cropmapping_options(published).items():
        if any(key.startswith(f'{part}.') for key in converted):
            print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    return 0


if __name__ == '__main__':
    sys.exit(main())
