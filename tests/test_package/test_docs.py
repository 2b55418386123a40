"""What the pages point to exists: links between them, and the files of the repository that they name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page for pattern in ('*.md', 'docs/*.md', 'configs/*/*.md') for page in ROOT.glob(pattern))
LINK = re.compile(r'\]\(([^)#\s]+)')
# Not the end of a longer path, such as a user's own.
FILE = re.compile(
    r'(?<![\w/.])(?:benchmarks|configs|docs|mmsits|requirements|tests|tools)/[\w/.-]+\.(?:md|py|sh|txt|yml)\b'
)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding='utf-8')
    links = [target for target in LINK.findall(text) if not target.startswith(('http://', 'https://'))]
    dead = [target for target in links if not (page.parent / target).exists()]
    gone = [name for name in FILE.findall(text) if not (ROOT / name).exists()]
    assert not dead + gone


def test_every_page_is_in_the_contents() -> None:
    pages = {page.name for page in (ROOT / 'docs').glob('*.md')}
    for contents in ('mkdocs.yml', 'docs/index.md'):
        text = (ROOT / contents).read_text(encoding='utf-8')
        missing = [name for name in sorted(pages - {'index.md'}) if name not in text]
        assert not missing, f'{contents} does not name {missing}'
