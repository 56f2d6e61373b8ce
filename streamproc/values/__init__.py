"""Python values as self-describing bytes."""

from streamproc.values.format import copy_value, decode_plain, decode_value, decode_values, encode_value, encode_values
from streamproc.values.named import NamedValues, class_with
from streamproc.values.opaque import Opaque
from streamproc.values.plain import PlainObject

__all__ = [
    "NamedValues",
    "Opaque",
    "PlainObject",
    "class_with",
    "copy_value",
    "decode_plain",
    "decode_value",
    "decode_values",
    "encode_value",
    "encode_values",
]
