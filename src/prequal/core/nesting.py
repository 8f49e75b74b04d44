"""The depth of objects and lists in JSON."""

_CONTAINERS = (dict, list)


def is_deeper(value: object, levels: int) -> bool:
    """Whether more than so many objects and lists, one at least, are in one another."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    # Asked of what can hold more alone: the fields of a good body, which all bodies pay for, hold nothing.
    nested = [each for each in inner if isinstance(each, _CONTAINERS)]
    return bool(nested) and (levels == 1 or any(is_deeper(each, levels - 1) for each in nested))
