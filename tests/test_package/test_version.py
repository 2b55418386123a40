import re
import subprocess
import sys
from pathlib import Path

import mmsits
from mmsits.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_package_tells_its_version() -> None:
    assert mmsits.__version__ == __version__
    assert re.fullmatch(r'\d+\.\d+\.\d+(\.?(dev|rc|a|b)\d+)?', __version__)


def test_changelog_and_citation_know_the_version() -> None:
    assert f'## {__version__}' in (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert f'version: {__version__}' in (ROOT / 'CITATION.cff').read_text(encoding='utf-8')


def test_importing_the_package_prints_nothing() -> None:
    # In a process of its own: what is printed comes with the first import only.
    code = 'import mmsits; from mmseg.registry import DATASETS; DATASETS.get("PASTISDataset")'
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ('', '')
