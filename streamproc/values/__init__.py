"""Python values as self-describing bytes."""

from streamproc.values.format import decode_plain, decode_value, decode_values, encode_value, encode_values
from streamproc.values.plain import PlainObject

__all__ = ["PlainObject", "decode_plain", "decode_value", "decode_values", "encode_value", "encode_values"]
