"""A change for the gate to find, to be appended to src/cattrs/__init__.py: every result is formatted, as for a log."""

from pprint import pformat

from cattrs.converters import BaseConverter

as_released = BaseConverter.unstructure


def unstructure(self, obj, unstructure_as=None):
    """Format the result, and return it."""
    result = as_released(self, obj, unstructure_as)
    pformat(result)
    return result


BaseConverter.unstructure = unstructure
