import re
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
