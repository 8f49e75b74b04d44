from prequal.postgres.columns import Columns

COLUMNS = Columns[complex](
    ("re", "float8", lambda number: number.real), ("im", "text", lambda number: str(number.imag))
)


def test_table_numbers_its_parameters_from_the_first_and_names_its_columns() -> None:
    assert COLUMNS.table("input", first=3) == "unnest($3::float8[], $4::text[]) AS input (re, im)"


def test_each_column_is_one_array_in_the_order_of_the_rows() -> None:
    assert COLUMNS.arrays([1 + 2j, 3 + 4j]) == [[1.0, 3.0], ["2.0", "4.0"]]


def test_no_rows_are_empty_arrays() -> None:
    assert COLUMNS.arrays([]) == [[], []]
