"""How deep JSON is."""

import pytest

from prequal.core.nesting import is_deeper


@pytest.mark.parametrize("value", [[1, [2]], {"a": {}}, {"a": 1, "b": [None]}])
def test_objects_and_lists_are_counted_and_the_content_of_the_innermost_is_not(value: object) -> None:
    assert (is_deeper(value, 1), is_deeper(value, 2)) == (True, False)


@pytest.mark.parametrize("value", ["text", None, [], {}, {"a": 1}])
def test_value_that_holds_no_object_and_no_list_is_never_deep(value: object) -> None:
    assert not is_deeper(value, 1)
