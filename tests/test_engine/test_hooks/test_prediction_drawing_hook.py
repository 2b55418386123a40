from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmsits.engine import PredictionDrawingHook
from mmsits.structures import ImageSeries

META = dict(classes=('wheat', 'maize', 'beet'), bands={'s2': ('B02', 'B03', 'B04')})


def _batch(size: int, number: int = 3) -> tuple[dict, list[dict]]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(number, 3, size, size, generator=generator)
    series = ImageSeries(
        [torch.randint(0, 3000, (4, 3, size, size), generator=generator) for _ in range(number)],
        [torch.arange(4) + 17000 for _ in range(number)],
        [torch.ones(4, 1, 1, dtype=torch.bool) for _ in range(number)],
    )
    output = dict(
        logits=logits,
        prediction=logits.argmax(1),
        targets=torch.full((number, size, size), 255),
        metas=[dict(sample_id=f'{size}/{index}') for index in range(number)],
    )
    return dict(inputs=dict(s2=series)), [output]


def _runner(folder: Path) -> SimpleNamespace:
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=META))
    return SimpleNamespace(work_dir=str(folder), val_dataloader=loader, test_dataloader=loader)


def test_the_first_samples_are_drawn_at_every_validation(tmp_path: Path) -> None:
    hook, runner = PredictionDrawingHook(max_pictures=2), _runner(tmp_path)
    for _ in range(2):
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, *_batch(8))
        hook.after_val_iter(runner, 1, *_batch(9))
    # A slash in a name would make a folder.
    assert [path.name for path in (tmp_path / 'pictures' / 'val').iterdir()] in (
        ['8_0.png', '8_1.png'],
        ['8_1.png', '8_0.png'],
    )


@pytest.mark.parametrize('size', [1, 7])
def test_maps_of_parcels_and_pixels_are_left_out(tmp_path: Path, size: int) -> None:
    hook, runner = PredictionDrawingHook(show_dir=str(tmp_path / 'show')), _runner(tmp_path)
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, 0, *_batch(size))
    assert not (tmp_path / 'show').exists()


def test_unlabelled_data_are_drawn_without_reference(tmp_path: Path) -> None:
    hook, runner = PredictionDrawingHook(max_pictures=1, show_dir=str(tmp_path / 'show')), _runner(tmp_path)
    hook.before_test_epoch(runner)
    batch, outputs = _batch(8)
    outputs[0]['targets'] = None
    hook.after_test_iter(runner, 0, batch, outputs)
    assert len(list((tmp_path / 'show' / 'test').glob('*.png'))) == 1
