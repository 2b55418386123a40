"""What the tools that convert published weights share: their arguments, reading, writing, and what they print."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmsits.engine.checkpoint import read_published_weights, trust_checkpoints
from mmsits.engine.errors import CheckpointError
from mmsits.engine.files import write_atomically

Weights = Mapping[str, Tensor]
#: Published weights -> weights of this library, and the options of the model that they belong to, by part.
Convert = Callable[[dict[str, Tensor]], tuple[Weights, Mapping[str, Any]]]


def conversion_parser(description: str | None) -> argparse.ArgumentParser:
    """Parser of a converter: `source`, `target` and `--trust-checkpoint`.

    Args:
        description: the tool's docstring.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', type=Path, help='published checkpoint')
    parser.add_argument('target', type=Path, help='checkpoint to write, for `load_from`')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='read files that hold Python objects, which may run code: only from people you trust',
    )
    return parser


def run_conversion(arguments: argparse.Namespace, convert: Convert) -> int:
    """Read, convert and write weights, and print the options of the model that they are for.

    Args:
        arguments: of a `conversion_parser`.
        convert: raises ValueError or CheckpointError for weights that it does not know.

    Returns:
        Exit status: 0, or 1 where the weights cannot be read or are not those of the tool.
    """
    trust_checkpoints(arguments.trust_checkpoint)
    try:
        converted, options = convert(read_published_weights(arguments.source))
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    content = io.BytesIO()
    torch.save({'state_dict': converted}, content)
    write_atomically(arguments.target, content.getvalue())
    print(f'{len(converted)} entries written to {arguments.target}, for a model with')
    for part, config in options.items():
        print(f'{part}={_as_config(config)}')
    return 0


def held_parts(options: Mapping[str, Any], weights: Weights) -> dict[str, Any]:
    """The options of those parts of a model of which there are weights."""
    return {part: config for part, config in options.items() if any(key.startswith(f'{part}.') for key in weights)}


def _as_config(config: object) -> str:
    if not isinstance(config, dict):
        return repr(config)
    return f'dict({", ".join(f"{name}={_as_config(value)}" for name, value in config.items())})'
