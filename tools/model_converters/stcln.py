#!/usr/bin/env python3
"""Convert weights of the published STCLN (https://github.com/XiaoleiQinn/STCLN) to a checkpoint of this library.

Takes an encoder after masked pre-training (`checkpoint_99.utae.tar` of MTLCC, `checkpoint_99.sttrans.tar` of PASTIS) or
a whole network (`checkpoint_99.tar`, `model_best.tar`). Prints the options that the weights belong to, and what was
left out: modules that the published code allocates and never runs, and the head of its pre-training. An encoder is
handed to a fine-tuning as `load_from` with `WeightTransferHook`.

    python tools/model_converters/stcln.py checkpoint_99.utae.tar stcln_mtlcc.pth
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import torch

from mmsits.engine import CheckpointError, read_published_weights
from mmsits.models.converters import convert_stcln, stcln_options, unused_stcln_keys


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    args = parser.parse_args()
    try:
        published = read_published_weights(args.source)
        converted = convert_stcln(published)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    torch.save({'state_dict': converted}, args.target)
    print(f'{len(converted)} entries written to {args.target}, for a model with')
    for part, config in stcln_options(published).items():
        print(f'{part}=dict({", ".join(f"{name}={value!r}" for name, value in config.items())})')
    unused = Counter(_module(key) for key in unused_stcln_keys(published))
    if unused:
        print(f'left out, as nothing uses it: {", ".join(f"{name} ({count})" for name, count in unused.items())}')
    return 0


def _module(key: str) -> str:
    """The module that a published weight belongs to."""
    parts = key.removeprefix('module.').removeprefix('utae.').split('.')
    return '.'.join(parts[:2]) if parts[0] == 'temporal_encoder' else parts[0]


if __name__ == '__main__':
    sys.exit(main())
