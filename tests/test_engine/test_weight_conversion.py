"""What all converters of published weights do alike."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from mmsits.engine.weight_conversion import conversion_parser, held_parts, run_conversion

WEIGHTS = {'layer.weight': torch.arange(3.0)}
OPTIONS = dict(backbone=dict(type='Net', encoder=dict(width=3)), decode_head=dict(type='Head'))


def _arguments(folder: Path) -> Namespace:
    torch.save(WEIGHTS, folder / 'published.pth')
    return conversion_parser('').parse_args([str(folder / 'published.pth'), str(folder / 'ours.pth')])


def test_weights_are_written_and_their_options_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def convert(published: dict) -> tuple[dict, dict]:
        converted = {f'backbone.{key}': value for key, value in published.items()}
        return converted, held_parts(OPTIONS, converted)

    assert run_conversion(_arguments(tmp_path), convert) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["backbone=dict(type='Net', encoder=dict(width=3))"]
    written = torch.load(tmp_path / 'ours.pth', weights_only=True)['state_dict']
    assert torch.equal(written['backbone.layer.weight'], WEIGHTS['layer.weight'])


def test_weights_of_another_network_leave_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def convert(published: dict) -> tuple[dict, dict]:
        raise ValueError('not of this network')

    (tmp_path / 'ours.pth').write_bytes(b'what was there')
    assert run_conversion(_arguments(tmp_path), convert) == 1
    assert 'not of this network' in capsys.readouterr().err
    assert (tmp_path / 'ours.pth').read_bytes() == b'what was there'
