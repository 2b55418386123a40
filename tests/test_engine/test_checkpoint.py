import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmsits.engine import CheckpointError, find_resumable, load_strictly
from mmsits.engine.checkpoint import load_from_http, trusting


class _Payload:
    """Makes a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def payload(tmp_path: Path) -> tuple[Path, Path]:
    trace, path = tmp_path / 'was here', tmp_path / 'payload.pth'
    torch.save({'state_dict': {'weight': torch.ones(1)}, 'extra': _Payload(trace)}, path)
    return path, trace


def test_code_in_a_checkpoint_is_refused_by_mmengines_loader(payload: tuple[Path, Path]) -> None:
    path, trace = payload
    with pytest.raises(
        CheckpointError, match=r'payload\.pth holds Python objects \(posix\.mkdir\).*--trust-checkpoint'
    ):
        CheckpointLoader.load_checkpoint(str(path))
    assert not trace.exists()


def test_other_schemes_of_mmengine_read_strictly_too(payload: tuple[Path, Path]) -> None:
    path, trace = payload
    with pytest.raises(CheckpointError, match='trust'):
        mmengine_checkpoint._safe_torch_load(str(path))
    assert not trace.exists()


def test_code_in_a_checkpoint_runs_only_when_trusted(payload: tuple[Path, Path]) -> None:
    path, trace = payload
    with trusting(True):
        loaded = CheckpointLoader.load_checkpoint(str(path))
    assert trace.exists()
    assert loaded['state_dict']['weight'].item() == 1
    with pytest.raises(CheckpointError):
        load_strictly(path)


def test_config_text_in_a_checkpoint_never_reaches_the_runner_that_would_run_it(tmp_path: Path) -> None:
    path = tmp_path / 'x.pth'
    torch.save({'meta': {'iter': 1, 'config': "open('here', 'w')"}, 'state_dict': {}}, path)
    assert CheckpointLoader.load_checkpoint(str(path))['meta'] == {'iter': 1}
    assert load_from_http(path.as_uri(), model_dir=str(tmp_path / 'cache'))['meta'] == {'iter': 1}
    with trusting(True):
        assert 'config' in CheckpointLoader.load_checkpoint(str(path))['meta']


def test_getattr_on_anything_but_log_buffers_is_refused(tmp_path: Path) -> None:
    class Sneaky:
        def __reduce__(self) -> tuple:
            return getattr, (np.ndarray, 'tofile')

    torch.save({'x': Sneaky()}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='trust'):
        load_strictly(tmp_path / 'x.pth')


def test_what_mmengine_and_metrics_save_is_read(tmp_path: Path) -> None:
    hub = MessageHub('test_checkpoint')
    hub.update_scalar('train/loss', 0.5)
    hub.update_info('best_score', np.float32(0.25))
    content: dict[str, Any] = {
        'message_hub': hub.state_dict(),
        'arrays': [np.ones(3, dtype=code) for code in ('int16', 'uint8', 'float32', 'bool', 'int64')],
        'names': np.array(['wheat', 'maize']),
    }
    torch.save(content, tmp_path / 'x.pth')
    loaded = load_strictly(tmp_path / 'x.pth')
    assert loaded['message_hub']['runtime_info']['best_score'] == np.float32(0.25)
    assert loaded['message_hub']['log_scalars']['train/loss'].mean(1) == 0.5
    for ours, theirs in zip(loaded['arrays'], content['arrays'], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded['names'].tolist() == ['wheat', 'maize']


@pytest.mark.parametrize('keep', [0.0, 0.3, 0.97])
def test_truncated_file_is_named(tmp_path: Path, keep: float) -> None:
    path = tmp_path / 'iter_8.pth'
    torch.save({'weight': torch.ones(1000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(CheckpointError, match=r'iter_8\.pth'):
        load_strictly(path)


def test_text_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / 'page.pth').write_text('<html>Not found</html>')
    with pytest.raises(CheckpointError, match=r'page\.pth'):
        load_strictly(tmp_path / 'page.pth')
    with pytest.raises(FileNotFoundError, match='absent'):
        load_strictly(tmp_path / 'absent.pth')


def _checkpoint(path: Path) -> Path:
    torch.save({'meta': {'iter': 1}, 'optimizer': {}, 'state_dict': {'weight': torch.ones(100)}}, path)
    return path


def test_half_written_checkpoints_are_passed_over(tmp_path: Path) -> None:
    assert find_resumable(tmp_path) is None
    for step in (800, 1000, 900):
        _checkpoint(tmp_path / f'iter_{step}.pth')
    (tmp_path / 'last_checkpoint').write_text('iter_1000.pth')
    assert find_resumable(tmp_path) == tmp_path / 'iter_1000.pth'
    content = (tmp_path / 'iter_1000.pth').read_bytes()
    (tmp_path / 'iter_1000.pth').write_bytes(content[: len(content) // 2])
    assert find_resumable(tmp_path) == tmp_path / 'iter_900.pth'
    (tmp_path / 'iter_900.pth').write_bytes(b'')
    assert find_resumable(tmp_path) == tmp_path / 'iter_800.pth'


def test_last_checkpoint_wins_over_a_later_one_of_an_earlier_run(tmp_path: Path) -> None:
    _checkpoint(tmp_path / 'iter_5000.pth')
    _checkpoint(tmp_path / 'iter_100.pth')
    (tmp_path / 'last_checkpoint').write_text('iter_100.pth')
    assert find_resumable(tmp_path) == tmp_path / 'iter_100.pth'


def test_moved_run_with_an_absolute_path_is_found(tmp_path: Path) -> None:
    _checkpoint(tmp_path / 'iter_100.pth')
    (tmp_path / 'last_checkpoint').write_text('/somewhere/else/iter_100.pth')
    assert find_resumable(tmp_path) == tmp_path / 'iter_100.pth'


def test_best_weights_without_optimizer_are_not_resumed_from(tmp_path: Path) -> None:
    torch.save({'meta': {}, 'state_dict': {}}, tmp_path / 'best.pth')
    (tmp_path / 'last_checkpoint').write_text('best.pth')
    assert find_resumable(tmp_path) is None


def test_a_process_on_another_machine_downloads_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({'state_dict': {}}, tmp_path / 'x.pth')
    monkeypatch.setattr('mmsits.engine.checkpoint.get_rank', lambda: 1)
    assert load_from_http((tmp_path / 'x.pth').as_uri(), model_dir=str(tmp_path / 'cache')) == {'state_dict': {}}


def test_downloads_are_read_strictly_and_kept(payload: tuple[Path, Path], tmp_path: Path) -> None:
    path, trace = payload
    cache = tmp_path / 'cache'
    with pytest.raises(CheckpointError, match='trust'):
        load_from_http(path.as_uri(), model_dir=str(cache))
    assert not trace.exists()
    good = tmp_path / 'good.pth'
    torch.save({'state_dict': {'weight': torch.ones(2)}}, good)
    assert load_from_http(good.as_uri(), model_dir=str(cache))['state_dict']['weight'].tolist() == [1, 1]
    assert sorted(file.name for file in cache.iterdir()) == ['good.pth', 'payload.pth']
    for scheme in ('http://', 'https://'):
        assert CheckpointLoader._get_checkpoint_loader(f'{scheme}host/x.pth') is load_from_http
