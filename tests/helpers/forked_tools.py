"""Run the command-line tools many times while importing torch and mmseg only once.

`run_tools` starts one Python process that imports mmsits and forks a child for each run: a child may kill itself, and
leaves nothing behind for the next one.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_tools(groups: Sequence[Sequence[dict]], timeout: float = 1800) -> list[list[int]]:
    """Run groups one after the other, the runs of a group side by side.

    Args:
        groups: Each run is dict(argv=[script, arguments …], log=path, env={}).
        timeout: Seconds for all of them.

    Returns:
        Exit statuses, negative for a signal.
    """
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = subprocess.run(
        [sys.executable, '-m', 'tests.helpers.forked_tools'],
        input=json.dumps([list(group) for group in groups], default=str),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _start(run: dict) -> int:
    child = os.fork()
    if child:
        return child
    descriptor = os.open(run['log'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.environ.update(run.get('env', {}))
    sys.argv = [str(part) for part in run['argv']]
    status = 1
    try:
        runpy.run_path(sys.argv[0], run_name='__main__')
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _main() -> None:
    import mmsits  # noqa: F401

    groups = json.load(sys.stdin)
    statuses = []
    for group in groups:
        children = [_start(run) for run in group]
        statuses.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    print(json.dumps(statuses))


if __name__ == '__main__':
    _main()
