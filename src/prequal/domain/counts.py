"""Words beside a number."""


def noun(number: int, one: str, several: str = "") -> str:
    """`application` for 1, `applications` for any other number; `several` where an s is not enough."""
    return one if number == 1 else several or f"{one}s"
