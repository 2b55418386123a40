"""The study in Central Asia: what its tables say of results, and what stands in their place where there is none."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'central_asia.py'


@pytest.fixture(scope='module')
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location('central_asia_study', SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # NamedTuple looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def result(macro_f1: float, **more: object) -> dict:
    return dict(all=dict(macro_f1=macro_f1, oa=80.0), blocks=dict(macro_f1=macro_f1 - 1, oa=79.0), **more)


def test_differences_are_to_the_control_of_the_same_seed(study: ModuleType) -> None:
    results = {
        ('three', 'control', 0): result(60.0),
        ('three', 'control', 1): result(70.0),
        ('three', 'mmd', 0): result(65.0),
        ('three', 'mmd', 1): result(69.0),
        ('three', 'dann', 2): result(50.0),
        ('three', 'target', 0): result(90.0),
    }
    rows = {line.split(' | ')[0].strip('| '): line for line in study.table(results, 'three').splitlines()}
    assert '67.0 ± 2.0' in rows['MMD']
    assert '+5.0, -1.0' in rows['MMD']
    # No control of this seed, so no difference; trained on other fields, so no score of all fields.
    assert '| 1 | 50.0 | 80.0 | – |' in rows['DANN']
    assert rows['trained on the target'].endswith('| – | – | – | – | 89.0 |')
    assert len(rows) == 6


def test_every_method_has_a_name_and_a_config(study: ModuleType) -> None:
    assert set(study.TRAINED) | set(study.BASELINES) | set(study.REDATED) == set(study.NAMES)
    for method in study.TRAINED:
        assert study.Study(Path(), 'twelve', 0)._config(method).test_dataloader.dataset.get('classes') is None


def test_three_classes_are_told_apart_everywhere(study: ModuleType) -> None:
    for method in ('source', 'timematch'):
        cfg = study.Study(Path(), 'three', 0)._config(method)
        assert cfg.pretty_text.count("'wheat-other'") == (2 if method == 'source' else 3)
        assert cfg.model.get('segmentor', cfg.model).decode_head.num_classes == 3
