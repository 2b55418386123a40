"""A scene whose pixels lie in memory, networks that can be trained by hand, and configs and checkpoints of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from affine import Affine
from mmengine.config import Config
from mmseg.registry import MODELS
from rasterio.crs import CRS

from mmsits.datasets.scene.grid import Grid, Window
from mmsits.structures import ImageSeries

CLASSES = ('wheat', 'corn', 'meadow')
PALETTE = ([200, 180, 20], [240, 120, 10], [60, 160, 60])
FIRST_DAY = 17532
"""2018-01-01."""


class MemoryScene:
    """What `mmsits.datasets.scene.Scene` is to its users, out of arrays.

    Args:
        series: sensor to values (T,C,H,W), days (T,), valid (T,H,W).
        bands: names of the bands of each sensor.
        unit: of all.
        grid: default 10 m pixels in UTM zone 31.
    """

    def __init__(
        self,
        series: dict[str, ImageSeries],
        bands: dict[str, tuple[str, ...]] | None = None,
        unit: str = '1',
        grid: Grid | None = None,
    ) -> None:
        self.series = series
        height, width = next(iter(series.values())).values.shape[-2:]
        self.grid = grid or Grid(CRS.from_epsg(32631), Affine(10, 0, 500_000, 0, -10, 5_000_000), height, width)
        self._bands = bands or {
            name: tuple(f'B{number}' for number in range(part.values.shape[1])) for name, part in series.items()
        }
        self._unit = unit
        self.windows: list[Window] = []

    @property
    def sensors_info(self) -> dict[str, dict[str, Any]]:
        return {name: dict(bands=bands, file_bands=bands, unit=self._unit) for name, bands in self._bands.items()}

    @property
    def days(self) -> dict[str, np.ndarray]:
        return {name: part.days for name, part in self.series.items()}

    def read(self, window: Window, bands: Any = None, sensors: Any = None) -> dict[str, ImageSeries]:
        self.windows.append(window)
        rows, columns = window.slices
        found = {}
        for name in sensors or self.series:
            part = self.series[name]
            wanted = (bands or {}).get(name) or self._bands[name]
            positions = [self._bands[name].index(band) for band in wanted]
            values = part.values[:, positions][..., rows, columns]
            found[name] = ImageSeries(values, part.days, part.valid[:, rows, columns])
        return found


def scene_of(
    height: int, width: int, dates: int = 5, bands: int = 3, seed: int = 0, hidden: float = 0.2
) -> MemoryScene:
    """Values between 0 and 1 that differ from pixel to pixel; a part of them hidden, and a corner without any."""
    rng = np.random.default_rng(seed)
    values = rng.random((dates, bands, height, width)).astype(np.float32)
    valid = rng.random((dates, height, width)) >= hidden
    valid[:, : height // 4, : width // 4] = False
    days = (FIRST_DAY + 30 * np.arange(1, dates + 1)).astype(np.int32)
    return MemoryScene({'s2': ImageSeries(values, days, valid)})


def write_network(
    folder: Path, kind: str = 'pixels', channels: int = 3, seed: int = 0, **changes: Any
) -> tuple[Path, Path]:
    """Write a config and a checkpoint of a small network with random weights.

    Args:
        folder: where they go.
        kind: 'pixels' (L-TAE, with a head that has a norm over maps), 'column' (without), 'windows' (U-TAE), 'local' (a
            dense network that sees one pixel), 'parcels', or 'geometry' (parcels with the features of their shape).
        channels: bands of the sensor.
        seed: of the weights.
        **changes: of the checkpoint's dataset_meta; None removes an entry.
    """
    folder.mkdir(parents=True, exist_ok=True)
    preprocessor: dict[str, Any] = dict(
        type='SeriesDataPreprocessor',
        sensors=dict(s2=channels),
        statistics=dict(s2=dict(mean=[0.5] * channels, std=[0.3] * channels)),
    )
    if kind == 'geometry':
        preprocessor['sensors']['geometry'] = 4
        preprocessor['statistics']['geometry'] = dict(mean=[0.0] * 4, std=[1.0, 1.0, 1.0, 1.0])
    norm = None if kind in ('column', 'local') else dict(type='GN', num_groups=2)
    head: dict[str, Any] = dict(
        type='FCNHead', in_channels=8, channels=8, in_index=0, num_convs=1, kernel_size=1, concat_input=False,
        num_classes=len(CLASSES), norm_cfg=norm, align_corners=False, dropout_ratio=0,
    )  # fmt: skip
    encoder = dict(type='LTAE', in_channels=8, n_head=2, d_k=4, d_model=8, mlp=[8, 8], dropout=0.0)
    if kind in ('pixels', 'column'):
        backbone = dict(type='PixelwiseBackbone', in_channels=channels, encoder=encoder)
    elif kind in ('parcels', 'geometry'):
        widths = dict(mlp1=(8,), mlp2=(8,), geometry_channels=4 if kind == 'geometry' else 0)
        backbone = dict(type='PixelSetBackbone', in_channels=channels, encoder=encoder, **widths)
    elif kind == 'local':
        backbone = dict(type='TinySeriesBackbone', in_channels=channels, out_channels=8)
    else:
        widths = dict(encoder_widths=(8, 8), decoder_widths=(8, 8))
        backbone = dict(type='UTAE', in_channels=channels, n_head=2, d_model=8, **widths)
    model = dict(type='TemporalEncoderDecoder', data_preprocessor=preprocessor, backbone=backbone, decode_head=head)
    text = dict(
        default_scope='mmseg',
        custom_imports=dict(imports=['mmsits', 'tests.helpers.tiny_model'], allow_failed_imports=False),
        model=model,
        test_dataloader=dict(dataset=dict(type='SeriesTableDataset', pipeline=[dict(type='PackSeriesInputs')])),
    )
    config, checkpoint = folder / 'config.py', folder / 'network.pth'
    config.write_text(Config(text).pretty_text)
    Config.fromfile(str(config))
    torch.manual_seed(seed)
    network = MODELS.build(model)
    # So that classes differ in more than rounding.
    with torch.no_grad():
        network.decode_head.conv_seg.weight.mul_(200)
    names = tuple(f'B{number}' for number in range(channels))
    meta = dict(classes=CLASSES, palette=PALETTE, bands=dict(s2=names), units=dict(s2='1'), season_start='01-01')
    meta = {key: value for key, value in (meta | changes).items() if value is not None}
    torch.save(dict(state_dict=network.state_dict(), meta=dict(dataset_meta=meta)), checkpoint)
    return config, checkpoint


def write_rasters(folder: Path, scene: MemoryScene, sensor: str = 's2') -> Path:
    """Write a sensor of a scene as dated GeoTIFFs of float32, NaN where not valid."""
    import rasterio

    folder.mkdir(parents=True, exist_ok=True)
    grid, (values, days, valid) = scene.grid, scene.series[sensor]
    bands = scene.sensors_info[sensor]['bands']
    for date, day in enumerate(days):
        name = str(np.datetime64(int(day), 'D')).replace('-', '')
        profile = dict(driver='GTiff', dtype='float32', nodata=np.nan, count=len(bands), crs=grid.crs)
        profile |= dict(transform=grid.transform, height=grid.height, width=grid.width)
        with rasterio.open(folder / f'{sensor}_{name}.tif', 'w', **profile) as file:
            file.write(np.where(valid[date], values[date], np.nan).astype(np.float32))
            file.descriptions = bands
    return folder
