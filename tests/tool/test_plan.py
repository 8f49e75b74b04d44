"""`faults.plan`: what a load will send and when."""

from faults.plan import Volume


def test_load_that_must_last_keeps_its_rate_and_goes_on_as_long_as_is_asked() -> None:
    assert Volume(100, 50).lasting(180.0) == Volume(9_000, 50)
    assert Volume(500, 20).lasting(9.0) == Volume(500, 20)
