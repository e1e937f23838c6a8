"""A stand-in for the Google provider: its schema, and plans and applies that reach no cloud.

A program of its own, in the environment that .ci/terraform makes: ``python provider.py SCHEMA.json SOCKET``. It speaks
Terraform's plugin protocol, so that Terraform itself checks and evaluates a description. Of what the provider itself
checks beyond its schema, it checks the values that the documentation names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import msgpack
from google.protobuf.message_factory import GetMessageClass

# The protocol's messages come with a framework whose other packages are not needed, so it is not imported.
_framework = find_spec("pyvider")
assert _framework
assert _framework.submodule_search_locations
sys.path.insert(0, f"{next(iter(_framework.submodule_search_locations))}/protocols/tfprotov6/protobuf")
import tfplugin6_pb2 as pb  # noqa: E402

UNKNOWN = msgpack.ExtType(0, b"\0")
_NESTING = {"list": 2, "set": 3, "single": 1}


class Provider:
    """Answers Terraform from ``schema``: ``provider``, ``resources``, ``data`` and ``ephemeral``."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.GetProviderSchema.Response(
            provider=_schema(self._schema["provider"]),
            resource_schemas={name: _schema(block) for name, block in self._schema["resources"].items()},
            data_source_schemas={name: _schema(block) for name, block in self._schema["data"].items()},
            ephemeral_resource_schemas={name: _schema(block) for name, block in self._schema["ephemeral"].items()},
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateProviderConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ConfigureProvider.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        wrong = _wrong_values(self._schema["resources"][request.type_name], _read(request.config))
        return pb.ValidateResourceConfig.Response(
            diagnostics=[pb.Diagnostic(severity=pb.Diagnostic.ERROR, summary=text) for text in wrong]
        )

    def ValidateEphemeralResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateEphemeralResourceConfig.Response()

    def OpenEphemeralResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        block = self._schema["ephemeral"][request.type_name]
        return pb.OpenEphemeralResource.Response(
            result=_write(_known(block, _read(request.config), request.type_name) | block["answers"])
        )

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ValidateDataResourceConfig.Response()

    def ReadDataSource(self, request: Any, context: Any) -> Any:  # noqa: N802
        block = self._schema["data"][request.type_name]
        state = _known(block, _read(request.config), request.type_name) | block["answers"]
        return pb.ReadDataSource.Response(state=_write(state))

    def CloseEphemeralResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.CloseEphemeralResource.Response()

    def UpgradeResourceState(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.UpgradeResourceState.Response(upgraded_state=_write(json.loads(request.raw_state.json)))

    def ReadResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        block = self._schema["resources"][request.type_name]
        planned = _planned(block, _read(request.proposed_new_state))
        return pb.PlanResourceChange.Response(planned_state=_write(planned), legacy_type_system=True)

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        block = self._schema["resources"][request.type_name]
        made = _known(block, _read(request.planned_state), request.type_name)
        if made is not None:
            made |= {name: text.format_map(made) for name, text in block["answers"].items()}
        return pb.ApplyResourceChange.Response(new_state=_write(made), legacy_type_system=True)

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        return pb.StopProvider.Response()


def _schema(block: dict[str, Any]) -> Any:
    return pb.Schema(version=0, block=_block(block))


def _block(block: dict[str, Any]) -> Any:
    attributes = [
        pb.Schema.Attribute(
            name=name,
            type=json.dumps(found["type"]).encode(),
            required=found["required"],
            optional=found["optional"],
            computed=found["computed"],
            write_only=found.get("write_only", False),
        )
        for name, found in block["attributes"].items()
    ]
    nested = [
        pb.Schema.NestedBlock(
            type_name=name,
            nesting=_NESTING[found["nesting"]],
            min_items=found["min"],
            max_items=found["max"],
            block=_block(found["block"]),
        )
        for name, found in block["blocks"].items()
    ]
    return pb.Schema.Block(version=0, attributes=attributes, block_types=nested)


def _read(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, ext_hook=lambda code, data: UNKNOWN)


def _write(value: Any) -> Any:
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def _each(found: dict[str, Any], value: Any) -> list[Any]:
    return [value] if found["nesting"] == "single" else list(value)


def _wrong_values(block: dict[str, Any], value: Any) -> Iterator[str]:
    for name, found in block["attributes"].items():
        if isinstance(value.get(name), str) and value[name] not in found.get("values", [value[name]]):
            yield f"{name}: {value[name]!r} is none of {', '.join(found['values'])}"
    for name, found in block["blocks"].items():
        if value.get(name) not in (None, UNKNOWN):
            for nested in _each(found, value[name]):
                yield from _wrong_values(found["block"], nested)


def _planned(block: dict[str, Any], value: Any) -> Any:
    """What Terraform proposes, where what the cloud will decide is unknown yet."""
    if value is None:
        return None
    planned = dict(value)
    for name, found in block["attributes"].items():
        if found.get("write_only"):
            planned[name] = None
        elif found["computed"] and value.get(name) is None:
            planned[name] = UNKNOWN
    for name, found in block["blocks"].items():
        planned[name] = _within(found, value.get(name), lambda nested, found=found: _planned(found["block"], nested))
    return planned


def _known(block: dict[str, Any], value: Any, path: str) -> Any:
    """The same with made-up values for what was unknown: a text says where it stands."""
    if value is None:
        return None
    made = dict(value)
    for name, found in block["attributes"].items():
        if value.get(name) == UNKNOWN or (value.get(name) is None and found["computed"]):
            made[name] = _made_up(found["type"], f"{path}.{name}")
    for name, found in block["blocks"].items():
        made[name] = _within(
            found,
            value.get(name),
            lambda nested, found=found, name=name: _known(found["block"], nested, f"{path}.{name}"),
        )
    return made


def _within(found: dict[str, Any], value: Any, change: Any) -> Any:
    if value in (None, UNKNOWN):
        return value
    changed = [change(nested) for nested in _each(found, value)]
    return changed[0] if found["nesting"] == "single" else changed


def _made_up(kind: Any, path: str) -> Any:
    if isinstance(kind, list):
        return {} if kind[0] == "map" else []
    return {"string": path, "number": 0, "bool": False}.get(kind)


def _handlers(provider: Provider) -> Any:
    """The protocol's calls that ``provider`` has methods for; Terraform can do without the others."""
    service = pb.DESCRIPTOR.services_by_name["Provider"]
    handlers = {
        call.name: grpc.unary_unary_rpc_method_handler(
            getattr(provider, call.name),
            request_deserializer=GetMessageClass(call.input_type).FromString,
            response_serializer=GetMessageClass(call.output_type).SerializeToString,
        )
        for call in service.methods
        if hasattr(provider, call.name)
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def main(schema: Path, socket: str) -> None:
    """Serve until killed."""
    server = grpc.server(ThreadPoolExecutor(max_workers=10))
    server.add_generic_rpc_handlers([_handlers(Provider(json.loads(schema.read_text())))])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
