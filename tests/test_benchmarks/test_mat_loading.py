"""The benchmark of MATLAB files compares loaders that give the same samples."""

import importlib.util
from pathlib import Path

PATH = Path(__file__).parents[2] / 'benchmarks' / 'mat_loading.py'
spec = importlib.util.spec_from_file_location('mat_loading', PATH)
assert spec is not None
assert spec.loader is not None
mat_loading = importlib.util.module_from_spec(spec)
spec.loader.exec_module(mat_loading)


def test_all_forms_of_the_files_give_the_same_samples(tmp_path: Path) -> None:
    found = mat_loading.open_loaders(tmp_path, side=40, crop=16)
    for loaders in found.values():
        samples = {name: load(3) for name, load in loaders.items()}
        first = samples['MATLAB 5']
        assert first['inputs']['s1'].values.shape == (12, 2, 16, 16)
        for name in ('MATLAB 7.3', 'packed'):
            assert (samples[name]['targets'] == first['targets']).all()
            assert (samples[name]['inputs']['s1'].values == first['inputs']['s1'].values).all()
        seconds = mat_loading.measure(loaders, repeats=1)
        assert list(seconds) == ['MATLAB 5', 'MATLAB 7.3', 'packed']
        assert min(seconds.values()) > 0
