"""Words beside a number."""


def noun(number: int, one: str, several: str = "") -> str:
    """`application` for 1, `applications` for any other number; `several` where an s is not enough."""
    return one if number == 1 else several or f"{one}s"


def grouped(number: int) -> str:
    """`12,34,567`: three digits, then groups of two, as in India."""
    digits = str(abs(number))
    head, tail = digits[:-3], digits[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)]
    return f"{'-' if number < 0 else ''}{','.join([*reversed(groups), tail])}"
