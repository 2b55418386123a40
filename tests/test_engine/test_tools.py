"""tools/train.py and tools/test.py from the outside: figures, distribution over processes, and how errors end."""

import json
import socket
from pathlib import Path

import pytest
import torch

from tests.helpers.forked_tools import ROOT, run_tools
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.tiny_model import write_config

pytestmark = pytest.mark.slow

# Plain gradient descent without dropout: what is left to differ between 1 and 2 processes is the order of sums.
STEPS = """
model['decode_head']['dropout_ratio'] = 0.0
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.5), clip_grad=None)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3, val_interval=100)
default_hooks['checkpoint'] = dict(interval=3)
default_hooks['prediction_drawing'] = dict(max_pictures=0)
custom_hooks = []
"""


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


class Session:
    """All runs of this file, started together so that the library is imported once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups: list[list[dict]] = []
        self.names: list[str] = []
        self.statuses: dict[str, list[int]] = {}

    def add(self, name: str, tool: str, *arguments: object, processes: int = 1) -> None:
        argv = [str(ROOT / 'tools' / tool), *map(str, arguments)]
        if processes > 1:
            argv += ['--launcher', 'pytorch']
        port = _free_port()
        runs = []
        for rank in range(processes):
            env = {}
            if processes > 1:
                env = dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
                env |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
            runs.append(dict(argv=argv, env=env, log=self.folder / f'{name}.{rank}.log'))
        self.names.append(name)
        self.groups.append(runs)

    def log(self, name: str) -> str:
        return (self.folder / f'{name}.0.log').read_text()


@pytest.fixture(scope='module')
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp('tools')
    data = write_pastis_miniature(folder / 'data', patches=7)
    session = Session(folder)
    one = write_config(folder / 'one.py', data, STEPS + "\ntrain_dataloader['batch_size'] = 2\n")
    two = write_config(folder / 'two.py', data, STEPS + "\ntrain_dataloader['batch_size'] = 1\n")
    wide = write_config(
        folder / 'wide.py',
        data,
        "\nmodel['backbone']['out_channels'] = 16\nmodel['decode_head']['in_channels'] = 16\n",
    )
    all_folds = ['--cfg-options', 'test_dataloader.dataset.folds=[1,2,3,4,5]']
    weights = folder / 'one' / 'iter_3.pth'
    payload = folder / 'payload.pth'
    torch.save({'state_dict': {}, 'extra': Path('x')}, payload)
    session.add('train one', 'train.py', one)
    session.add('train two', 'train.py', two, processes=2)
    session.add(
        'test one',
        'test.py',
        one,
        weights,
        '--out',
        folder / 'one.json',
        '--show-dir',
        folder / 'show',
        *all_folds,
        'default_hooks.prediction_drawing.max_pictures=2',
    )
    session.add('test two', 'test.py', one, weights, '--out', folder / 'two.json', *all_folds, processes=2)
    averaged = ['mode=whole', 'test_time.rotations=True', f'test_time.checkpoints=[{weights}]']
    averaged = [f'model.test_cfg.{option}' for option in averaged]
    session.add('averaged', 'test.py', one, weights, '--out', folder / 'averaged.json', *all_folds, *averaged)
    session.add('misspelt key', 'train.py', one, '--cfg-options', 'trian_cfg.max_iters=1')
    session.add('misspelt argument', 'train.py', one, '--cfg-options', 'train_dataloader.dataset.ignored_clases=[0]')
    session.add('misspelt class', 'train.py', one, '--cfg-options', 'model.backbone.type=TinySeriesBakbone')
    session.add('misspelt loader', 'train.py', one, '--cfg-options', 'train_dataloader.batchsize=2')
    session.add('other architecture', 'test.py', wide, weights)
    session.add('other season', 'test.py', one, weights, '--cfg-options', 'test_dataloader.dataset.season_start=01-01')
    session.add('code', 'test.py', one, payload)
    session.add('code trusted', 'test.py', one, payload, '--trust-checkpoint')
    session.add('no data', 'train.py', one, '--cfg-options', 'data_root=/nowhere')
    broken = write_pastis_miniature(folder / 'broken', patches=5)
    for file in (broken / 'DATA_S2').glob('*.npy'):
        file.write_bytes(file.read_bytes()[:500])
    spare = ['train_dataloader.num_workers=2', 'default_hooks.dataset_contract.data_card=False']
    session.add('truncated', 'train.py', one, '--cfg-options', f'data_root={broken}', *spare)
    wrong = 'model.data_preprocessor.statistics.s2'
    unit = [f'{wrong}.mean=[{",".join(["0.2"] * 10)}]', f'{wrong}.std=[{",".join(["0.1"] * 10)}]']
    session.add('other unit', 'train.py', one, '--cfg-options', *unit)
    session.add('accumulation', 'train.py', one, '--cfg-options', 'optim_wrapper.accumulative_counts=2')
    session.add('amp', 'train.py', one, '--amp')
    session.statuses = dict(zip(session.names, run_tools(session.groups), strict=True))
    return session


def test_two_processes_train_like_one_with_twice_the_batch(session: Session) -> None:
    assert session.statuses['train one'] == [0], session.log('train one')[-3000:]
    assert session.statuses['train two'] == [0, 0], session.log('train two')[-3000:]
    one = torch.load(session.folder / 'one' / 'iter_3.pth', weights_only=False)['state_dict']
    two = torch.load(session.folder / 'two' / 'iter_3.pth', weights_only=False)['state_dict']
    assert one.keys() == two.keys()
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-5, rtol=1e-5, msg=key)


def test_two_processes_give_exactly_the_figures_of_one(session: Session) -> None:
    assert session.statuses['test one'] == [0], session.log('test one')[-3000:]
    assert session.statuses['test two'] == [0, 0], session.log('test two')[-3000:]
    one, two = (json.loads((session.folder / f'{name}.json').read_text()) for name in ('one', 'two'))
    assert one == two
    assert one['samples'] == 7
    # Void corners of 2x2 pixels do not count.
    assert sum(map(sum, one['confusion_matrix'])) == 7 * (16 * 16 - 4)


def test_a_pixelwise_network_averaged_with_itself_predicts_the_same(session: Session) -> None:
    assert session.statuses['averaged'] == [0], session.log('averaged')[-3000:]
    assert f'averaged with those of {session.folder / "one" / "iter_3.pth"}' in session.log('averaged')
    one, averaged = (json.loads((session.folder / f'{name}.json').read_text()) for name in ('one', 'averaged'))
    assert averaged['confusion_matrix'] == one['confusion_matrix']


def test_predictions_are_drawn_where_asked(session: Session) -> None:
    pictures = sorted((session.folder / 'show' / 'test').glob('*.png'))
    assert [path.stem for path in pictures] == ['10001', '10006']
    assert all(path.read_bytes().startswith(b'\x89PNG') for path in pictures)


@pytest.mark.parametrize(
    ('name', 'status', 'sentence'),
    [
        ('misspelt key', 2, "unknown key 'trian_cfg' at the top level of the config, did you mean 'train_cfg'?"),
        (
            'misspelt argument',
            2,
            "PASTISDataset takes no argument 'ignored_clases': did you mean 'ignored_classes'?",
        ),
        ('misspelt class', 2, 'TinySeriesBakbone'),
        ('misspelt loader', 2, "DataLoader.__init__() got an unexpected keyword argument 'batchsize'"),
        ('other architecture', 1, 'backbone.convolution.weight (8, 10, 1, 1) instead of (16, 10, 1, 1)'),
        ('other season', 1, 'season_start: 09-01 in the checkpoint, 01-01 in the test data'),
        ('code', 1, 'add --trust-checkpoint'),
        ('code trusted', 1, 'missing in the checkpoint'),
        ('no data', 1, 'the PASTIS folder does not exist [file /nowhere]'),
        ('truncated', 1, 'broken/DATA_S2/S2_1000'),
        ('other unit', 1, 'do not suit the statistics that the model normalises with'),
        ('accumulation', 2, 'Set default_hooks.checkpoint.interval to 4'),
        ('amp', 2, 'mixed precision needs a GPU'),
    ],
)
def test_errors_end_with_a_sentence(session: Session, name: str, status: int, sentence: str) -> None:
    log = session.log(name)
    assert session.statuses[name] == [status], log[-3000:]
    assert sentence in log
    assert 'Traceback' not in log


def test_the_whole_config_and_data_card_are_kept(session: Session) -> None:
    assert 'SeriesCheckpointHook' in (session.folder / 'one' / 'one.py').read_text()
    assert list((session.folder / 'one').glob('data_card.*'))


def test_statistics_of_the_training_data_are_in_the_checkpoint(session: Session) -> None:
    weights = torch.load(session.folder / 'one' / 'iter_3.pth', weights_only=False)
    published = json.loads((session.folder / 'data' / 'NORM_S2_patch.json').read_text())
    mean = torch.tensor([published[f'Fold_{fold}']['mean'] for fold in (1, 2, 3)]).mean(0)
    torch.testing.assert_close(weights['state_dict']['data_preprocessor.mean_s2'], mean)
    assert weights['meta']['dataset_meta']['bands']['s2'][0] == 'B02'
