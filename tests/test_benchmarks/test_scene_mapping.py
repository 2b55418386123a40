"""The benchmark of mapping runs, and measures the memory of what it runs."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / 'benchmarks' / 'scene_mapping.py'
spec = importlib.util.spec_from_file_location('scene_mapping', PATH)
assert spec is not None
assert spec.loader is not None
scene_mapping = importlib.util.module_from_spec(spec)


@pytest.mark.slow
def test_a_scene_is_simulated_and_mapped(tmp_path, monkeypatch, capsys):
    spec.loader.exec_module(scene_mapping)
    options = ['--sizes', '256', '--dates', '2', '--kinds', 'pixels', '--work-dir', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['scene_mapping.py', *options])
    scene_mapping.main()
    assert '256×256×2' in capsys.readouterr().out
    assert (tmp_path / 'map_pixels_256' / 'classes.tif').is_file()


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_memory_is_that_of_the_process(tmp_path):
    spec.loader.exec_module(scene_mapping)
    found = []
    for number, code in enumerate(['pass', 'x = bytearray(2**28)']):
        script = tmp_path / f'{number}.py'
        script.write_text(code)
        found.append(scene_mapping.run(script)[0])
    assert found[1] - found[0] == pytest.approx(256, abs=20)
