"""Shared by all tests; its being here puts the repository on the path, so that they can import `tests.helpers`."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from tests.helpers.pastis_miniature import write_pastis_miniature


@pytest.fixture(scope='session')
def pastis_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A miniature PASTIS-R of six patches; read only, all tests share it."""
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'), sensors=('s2', 's1a'))


@pytest.fixture(scope='session', autouse=True)
def _scope_of_mmseg() -> None:
    """Names in configs are looked up in mmseg's registries, as `default_runtime.py` has it."""
    init_default_scope('mmseg')
