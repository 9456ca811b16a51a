"""Loki's logproto messages for a push, built from their field numbers without generated code.

    PushRequest { repeated Stream streams = 1; }
    Stream      { string labels = 1; repeated Entry entries = 2; }
    Entry       { Timestamp timestamp = 1; string line = 2; repeated LabelPair structuredMetadata = 3; }
    Timestamp   { int64 seconds = 1; int32 nanos = 2; }
    LabelPair   { string name = 1; string value = 2; }

Texts are declared as bytes, which look the same on the wire: Loki takes invalid UTF-8 in them, and
Python's protobuf would refuse it. The numbers are those of Loki 3.6's pkg/push/push.proto.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_PACKAGE = "log_store.logproto"
_Field = descriptor_pb2.FieldDescriptorProto
_FIELDS: dict[str, tuple[tuple[str, int, Any, str], ...]] = {
    "PushRequest": (("streams", 1, _Field.TYPE_MESSAGE, "Stream*"),),
    "Stream": (
        ("labels", 1, _Field.TYPE_BYTES, ""),
        ("entries", 2, _Field.TYPE_MESSAGE, "Entry*"),
    ),
    "Entry": (
        ("timestamp", 1, _Field.TYPE_MESSAGE, "Timestamp"),
        ("line", 2, _Field.TYPE_BYTES, ""),
        ("structured_metadata", 3, _Field.TYPE_MESSAGE, "LabelPair*"),
    ),
    "Timestamp": (
        ("seconds", 1, _Field.TYPE_INT64, ""),
        ("nanos", 2, _Field.TYPE_INT32, ""),
    ),
    "LabelPair": (("name", 1, _Field.TYPE_BYTES, ""), ("value", 2, _Field.TYPE_BYTES, "")),
}


def _push_request_class() -> type[Message]:
    file = descriptor_pb2.FileDescriptorProto(
        name="log_store/push.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, number, kind, target in fields:
            field = message.field.add(name=name, number=number, type=kind)
            field.label = _Field.LABEL_REPEATED if target.endswith("*") else _Field.LABEL_OPTIONAL
            if target:
                field.type_name = f".{_PACKAGE}.{target.rstrip('*')}"
    # A pool of its own: the default pool refuses two files that describe the same messages.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.PushRequest"))


PushRequest: Final[Any] = _push_request_class()
"""The message class of a push; typed `Any` because protobuf makes it at run time."""
