"""Fields over the scenes of `tests.helpers.memory_scene.scene_of`."""

from pathlib import Path

import geopandas
import pytest
import shapely
from rasterio.crs import CRS


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    """Polygons with columns: within a tile, across four, half outside, wholly outside, and one without geometry."""
    boxes = [(2, 30, 12, 41), (40, 50, 90, 75), (30.5, 61.25, 33.75, 66), (100, 80, 130, 100), (500, 500, 510, 510)]
    shapes = [
        shapely.box(5e5 + 10 * x, 5e6 - 10 * below, 5e5 + 10 * right, 5e6 - 10 * y) for x, y, right, below in boxes
    ]
    frame = geopandas.GeoDataFrame(
        {
            'id': ['a', 'b', 'c', 'd', 'far', 'none'],
            'crop': ['corn', 'wheat', 'rice', 'meadow', 'corn', None],
            'Class': [1.5, 2.5, 3.5, 4.5, 5.5, None],
        },
        geometry=[*shapes, None],
        crs=CRS.from_epsg(32631).to_wkt(),
    )
    path = tmp_path / 'fields.gpkg'
    # In degrees: what is written has the CRS of the file, not of the scene.
    frame.to_crs(4326).to_file(path)
    return path
