#!/usr/bin/env python
"""Say what is installed, what is wrong with it, and whether training works: `python tools/doctor.py`.

The most frequent trouble is an upstream package (mmengine, mmcv, mmsegmentation) installed beside its kept-up fork
(onedl-…): both write the same files, so what one imports is a mixture of the two. Exit status 1 means that something
has to be mended, 0 that all is well; a difference from the tested versions alone is a note.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# The folder that holds tools/ and configs/: a checkout, or mmsits/.mim of an installed package.
ROOT = Path(__file__).resolve().parent.parent

# Every package whose version tells something, with its import name.
REPORTED = {
    'torch': 'torch',
    'torchvision': 'torchvision',
    'timm': 'timm',
    'numpy': 'numpy',
    'onedl-mmengine': 'mmengine',
    'onedl-mmcv': 'mmcv',
    'onedl-mmsegmentation': 'mmseg',
    'mmsits': 'mmsits',
}
# Fork -> upstream distributions that install the same import package.
UPSTREAM = {
    'onedl-mmengine': ('mmengine', 'mmengine-lite'),
    'onedl-mmcv': ('mmcv', 'mmcv-lite', 'mmcv-full'),
    'onedl-mmsegmentation': ('mmsegmentation',),
}
REINSTALL = 'python -m pip install --editable . --constraint requirements/constraints.txt'


class Finding(NamedTuple):
    """One sentence of the diagnosis. A note needs no action; anything else makes the exit status 1."""

    text: str
    is_note: bool = False


def normalise(name: str) -> str:
    """Spell a distribution's name as the package index does: `Onedl_MMCV` is `onedl-mmcv`."""
    return re.sub(r'[-_.]+', '-', name).lower()


def installed_versions(distributions: Iterable[importlib.metadata.Distribution] | None = None) -> dict[str, str]:
    """Return the version of every installed distribution; of several with one name the first on the path counts."""
    versions: dict[str, str] = {}
    for distribution in importlib.metadata.distributions() if distributions is None else distributions:
        # A half-removed package leaves a folder without a name.
        if name := distribution.metadata['Name']:
            versions.setdefault(normalise(name), distribution.version)
    return versions


def read_pins(path: Path) -> list[str]:
    """Return the requirement lines of a requirements or constraints file; empty where there is no such file."""
    if not path.is_file():
        return []
    lines = (line.split('#')[0].strip() for line in path.read_text(encoding='utf-8').splitlines())
    return [line for line in lines if line and not line.startswith('-')]


def runtime_requirements(root: Path = ROOT) -> list[str]:
    """Return what mmsits needs: from the checkout, else from the installed package's metadata."""
    lines = read_pins(root / 'requirements' / 'runtime.txt')
    if not lines:
        try:
            lines = importlib.metadata.requires('mmsits') or []
        except importlib.metadata.PackageNotFoundError:
            lines = []
    return lines


def find_conflicts(installed: Mapping[str, str]) -> list[Finding]:
    """Find upstream distributions where a fork is needed, and other packages that overwrite each other."""
    findings = []
    for fork, upstreams in UPSTREAM.items():
        present = [name for name in upstreams if name in installed]
        if not present:
            continue
        listed = ' and '.join(f'{name} {installed[name]}' for name in present)
        if fork in installed:
            what = f'{listed} and {fork} {installed[fork]} are both installed and overwrite the same files.'
        else:
            what = f'{listed} is installed, but mmsits needs the fork {fork}, which installs the same files.'
        mend = f'python -m pip uninstall -y {" ".join([*present, fork])} && {REINSTALL}'
        findings.append(Finding(f'{what} Remove both and install the fork again: {mend}'))

    opencvs = sorted(name for name in installed if re.fullmatch(r'opencv-(contrib-)?python(-headless)?', name))
    if len(opencvs) > 1:
        text = (
            f'{" and ".join(opencvs)} install the same files. If `import cv2` fails, uninstall all and reinstall one.'
        )
        findings.append(Finding(text, is_note=True))
    return findings


def find_missing(installed: Mapping[str, str], requirements: Iterable[str]) -> list[Finding]:
    """Find what is required, but missing or too old."""
    from packaging.requirements import Requirement

    findings = []
    for line in requirements:
        requirement = Requirement(line)
        # Lines of extras ('; extra == "dev"') are false here: they are no part of a plain installation.
        if requirement.marker is not None and not requirement.marker.evaluate({'extra': ''}):
            continue
        found = installed.get(normalise(requirement.name))
        if found is None:
            findings.append(Finding(f'{requirement.name} is missing. Install it: {REINSTALL}'))
        elif not requirement.specifier.contains(found, prereleases=True):
            findings.append(
                Finding(f'{requirement.name} is {found}, mmsits needs {requirement.specifier}. Upgrade it: {REINSTALL}')
            )
    return findings


def note_untested(installed: Mapping[str, str], pins: Iterable[str]) -> list[Finding]:
    """Note what differs from the versions that mmsits was tested with."""
    from packaging.requirements import Requirement

    different = []
    for line in pins:
        pin = Requirement(line)
        found = installed.get(normalise(pin.name))
        applies = pin.marker is None or pin.marker.evaluate()
        # A local label as in 2.15.0+cpu is the same release: packaging ignores it unless the pin has one too.
        if found is not None and applies and not pin.specifier.contains(found, prereleases=True):
            different.append(f'{pin.name} {found} (tested: {str(pin.specifier).lstrip("=")})')
    if not different:
        return []
    return [Finding('Other versions than the tested ones, which may well work: ' + ', '.join(different), is_note=True)]


def check_imports(import_module: Callable[[str], object] = importlib.import_module) -> list[Finding]:
    """Import the stack from the bottom up and stop at the first package that fails: the rest would fail with it."""
    for distribution, name in REPORTED.items():
        if name == 'timm':  # only mmseg's timm backbones need it
            continue
        try:
            import_module(name)
        except Exception as error:  # an import may fail with anything: missing names, broken libraries, version checks
            reason = f'`import {name}` fails with {type(error).__name__}: {error}'
            return [Finding(f'{reason}. Install {distribution} anew: {REINSTALL}')]
    return []


def registered_names(registries: Iterable[object] | None = None) -> list[str]:
    """Return the names that mmsits has put into mmseg's registries."""
    if registries is None:
        import mmseg.registry
        from mmengine.registry import Registry

        registries = [value for value in vars(mmseg.registry).values() if isinstance(value, Registry)]
    names = {
        name
        for registry in registries
        for name, item in registry.module_dict.items()  # type: ignore[attr-defined]
        if item.__module__.partition('.')[0] == 'mmsits'
    }
    return sorted(names)


def check_gpu(has_driver: bool | None = None) -> list[Finding]:
    """Note a GPU that torch cannot use."""
    import torch

    if has_driver is None:
        has_driver = shutil.which('nvidia-smi') is not None
    if torch.cuda.is_available() or not has_driver:
        return []
    built = f'CUDA {torch.version.cuda}' if torch.version.cuda else 'CPU only'
    text = f'An NVIDIA driver is here, but torch (built for {built}) finds no GPU: compare with what nvidia-smi prints.'
    return [Finding(text, is_note=True)]


def check_training(run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run) -> list[Finding]:
    """Simulate five patches, one a fold, and train the reduced U-TAE for two iterations in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix='mmsits-doctor-') as folder:
        data, work_dir = Path(folder) / 'data', Path(folder) / 'work_dir'
        simulate = [ROOT / 'tools/dataset_converters/simulate.py', data]
        simulate += ['--layout', 'pastis', '--patches', 5, '--patch-size', 32, '--seed', 0]
        train = [ROOT / 'tools/train.py', ROOT / 'configs/utae/utae_demo_simulated.py', '--work-dir', work_dir]
        train += ['--cfg-options', f'data_root={data}', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2']
        train += ['train_dataloader.batch_size=2']  # three folds, so three patches, are for training
        for task, command in (('Simulating data', simulate), ('Training', train)):
            line = [sys.executable, *map(str, command)]
            result = run(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if result.returncode != 0:
                tail = '\n    '.join((result.stdout or '').strip().splitlines()[-15:])
                return [Finding(f'{task} failed (exit status {result.returncode}). The last lines were:\n    {tail}')]
        if not list(work_dir.rglob('*.pth')):
            return [Finding(f'Training ended without a checkpoint in {work_dir}.')]
    return []


def describe(installed: Mapping[str, str]) -> list[str]:
    """List the versions that a bug report needs."""
    lines = [f'Python                {platform.python_version()}  ({sys.executable})']
    for distribution, module in REPORTED.items():
        imported = '' if module == distribution else f'  (import {module})'
        lines.append(f'{distribution:<22}{installed.get(distribution, "not installed")}{imported}')
    return lines


def describe_devices() -> list[str]:
    """List what torch can compute on."""
    import torch

    lines = [f'CUDA of torch         {torch.version.cuda or "none, CPU only"}']
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        lines.append(f'GPU {index}                 {device.name}, {device.total_memory / 2**30:.0f} GiB')
    return lines


def examine(skip_training: bool = False) -> list[Finding]:
    """Run all checks, each only where the earlier ones left it a chance, and print what is learnt on the way."""
    installed = installed_versions()
    print('\n'.join(describe(installed)))
    findings = find_conflicts(installed)
    if 'packaging' in installed:
        findings += find_missing(installed, runtime_requirements())
        findings += note_untested(installed, read_pins(ROOT / 'requirements' / 'constraints.txt'))
    else:
        findings.append(Finding(f'packaging is missing, so nothing can be compared. Install it: {REINSTALL}'))

    failures = check_imports()
    findings += failures
    if failures:
        return findings
    print('\n'.join(describe_devices()))
    findings += check_gpu()
    names = registered_names()
    print(f'Registered by mmsits  {len(names)} names')
    if not names:
        findings.append(
            Finding('`import mmsits` works but registers nothing in mmseg: the installation is not complete.')
        )
    elif not skip_training:
        print('Training two iterations on simulated data …', flush=True)
        findings += check_training()
    return findings


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the diagnosis and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--skip-training', action='store_true', help='leave out the two iterations on simulated data')
    options = parser.parse_args(arguments)

    findings = examine(options.skip_training)
    problems = [finding for finding in findings if not finding.is_note]
    print()
    for finding in findings:
        print(f'{"Note" if finding.is_note else "Problem"}: {finding.text}')
    print(f'{len(problems)} problem{"s" if len(problems) != 1 else ""} found.' if problems else 'All is well.')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
