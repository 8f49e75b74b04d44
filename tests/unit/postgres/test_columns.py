import pytest

from prequal.postgres.columns import Columns

COLUMNS = Columns[tuple[float, str | None]](
    ("size", "float8", lambda row: row[0]), ("name", "text", lambda row: row[1])
)


def test_table_numbers_its_parameters_from_the_first_and_names_its_columns() -> None:
    table = COLUMNS.table("input", first=3)

    assert table == "unnest($3::float8[], string_to_array($4, E'\\x1f', '')) AS input (size, name)"


def test_each_column_is_one_parameter_in_the_order_of_the_rows() -> None:
    assert list(COLUMNS.parameters([(1.0, "one"), (3.0, None), (4.0, "four")])) == [[1.0, 3.0, 4.0], "one\x1f\x1ffour"]


def test_no_rows_are_empty() -> None:
    assert list(COLUMNS.parameters([])) == [[], ""]


@pytest.mark.parametrize("names", [["a\x1fb"], ["a", "b\x1f"], [None, "\x1f"]])
def test_text_that_holds_the_separator_is_refused(names: list[str | None]) -> None:
    with pytest.raises(ValueError, match=r"U\+001F"):
        list(COLUMNS.parameters([(1.0, name) for name in names]))
