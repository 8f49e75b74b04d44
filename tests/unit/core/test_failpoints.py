from pathlib import Path

import pytest

import prequal
from prequal.core.failpoints import Place

SOURCES = [path.read_text() for path in Path(prequal.__file__).parent.rglob("*.py")]


@pytest.mark.parametrize("place", Place)
def test_every_place_is_passed_once_in_the_code(place: Place) -> None:
    assert sum(source.count(f"failpoints.reached(Place.{place.name})") for source in SOURCES) == 1
