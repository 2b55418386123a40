"""Importing mmsits must not hide a name of mmseg or mmengine.

Registering a name twice in one registry raises at once; registering one that a *parent* holds does not, and from then
on every config of that scope gets the new class. This test walks the chain instead.
"""

import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import mmengine.registry
import mmseg.registry
import pytest
from mmengine.registry import Registry

import mmsits

REGISTRIES = {name: value for name, value in vars(mmseg.registry).items() if isinstance(value, Registry)}


def parents(registry: Registry) -> Iterator[Registry]:
    while registry.parent is not None:
        registry = registry.parent
        yield registry


def is_ours(item: object) -> bool:
    return getattr(item, '__module__', '').partition('.')[0] == 'mmsits'


@pytest.fixture(scope='module', autouse=True)
def everything_imported() -> None:
    """Register all there is: our modules, and those of mmseg and mmengine that register when first asked."""
    for module in pkgutil.walk_packages(mmsits.__path__, prefix='mmsits.'):
        importlib.import_module(module.name)
    for registry in REGISTRIES.values():
        for level in (registry, *parents(registry)):
            level.import_from_location()


def test_there_is_something_to_check() -> None:
    assert any(is_ours(item) for registry in REGISTRIES.values() for item in registry.module_dict.values())


@pytest.mark.parametrize('name', REGISTRIES)
def test_no_name_hides_one_of_a_parent(name: str) -> None:
    registry = REGISTRIES[name]
    ours = {key for key, item in registry.module_dict.items() if is_ours(item)}
    hidden = {key: parent.scope for parent in parents(registry) for key in ours & set(parent.module_dict)}
    assert not hidden, f'{name}: give these a prefix of their own, they hide the class of that scope: {hidden}'


def test_nothing_is_registered_outside_mmseg() -> None:
    """A class put into mmengine's registry would be offered to every other OpenMMLab library as well.

    Weight initialisers are an exception: mmengine looks them up in its own registry when a network is built without a
    default scope, as one does in a notebook. Functions that collate batches are the other: mmengine looks for them
    nowhere else.
    """
    roots = {
        name: value
        for name, value in vars(mmengine.registry).items()
        if isinstance(value, Registry) and name not in ('WEIGHT_INITIALIZERS', 'FUNCTIONS')
    }
    found = {f'{name}.{key}' for name, root in roots.items() for key, item in root.module_dict.items() if is_ours(item)}
    assert not found


@pytest.mark.slow
def test_importing_the_package_alone_registers_everything() -> None:
    """`custom_imports = dict(imports=['mmsits'])` is all that a config says."""
    code = (
        'import mmsits, mmseg.registry as r; from mmengine.registry import Registry\n'
        'for n, g in vars(r).items():\n'
        '    if isinstance(g, Registry):\n'
        '        for k, v in g.module_dict.items():\n'
        '            if v.__module__.startswith("mmsits"): print(n + "." + k)\n'
    )
    printed = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True, check=True).stdout
    everything = {
        f'{name}.{key}'
        for name, registry in REGISTRIES.items()
        for key, item in registry.module_dict.items()
        if is_ours(item)
    }
    assert set(printed.split()) == everything
