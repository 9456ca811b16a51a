"""What the OpenAPI document of jobs says, tried with whatever fits it and whatever does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from shipper.sources.jobs.source import JobsSource
from tests.support.jobs import BASE, Client, source_at
from tests.support.services import free_port

EXAMPLES = 30
"""For each of the dozen operations; a hundred found nothing more."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsSource]:
    """An interface with a task in it."""
    source = source_at(free_port(), tmp_path_factory.mktemp("jobs"))
    source.open()
    client = Client(source.port)
    client.post("/t", {"processes": {"arr": 10, "job": None}})
    client.close()
    yield source
    source.close()


OPERATIONS = [
    f"{method} {path}"
    for path, methods in {
        BASE: ("GET", "POST", "DELETE"),
        f"{BASE}/{{name}}": ("GET", "POST", "PUT", "DELETE"),
        f"{BASE}/{{name}}/@all": ("GET",),
        f"{BASE}/{{name}}/{{process}}": ("GET",),
        f"{BASE}/{{name}}/{{process}}/event": ("GET", "POST", "PATCH"),
        f"{BASE}/{{name}}/{{process}}/event/{{event_id}}": ("GET", "PUT"),
    }.items()
    for method in methods
]


@pytest.fixture(scope="module")
def operations(served: JobsSource) -> Mapping[str, Any]:
    """What the document lists."""
    document = schemathesis.openapi.from_url(f"http://127.0.0.1:{served.port}/openapi.json")
    found = [each.ok() for each in document.get_all_operations() if isinstance(each, Ok)]
    return {f"{each.method.upper()} {each.path}": each for each in found}


def test_the_document_lists_every_operation(operations: Mapping[str, Any]) -> None:
    assert sorted(operations) == sorted(OPERATIONS)


@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        pytest.param(operation, mode, id=f"{operation} {mode.value}")
        for operation in OPERATIONS
        for mode in GenerationMode
        # Nothing can be wrong about what has no parameters and no body.
        if (operation, mode) != (f"DELETE {BASE}", GenerationMode.NEGATIVE)
    ],
)
def test_every_answer_is_one_that_the_document_names(
    operations: Mapping[str, Any], operation: str, mode: GenerationMode
) -> None:
    @given(operations[operation].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def try_it(case: Case[Any]) -> None:
        # Half of the cases are about what is there.
        for name, there in (("name", "t"), ("process", "arr")):
            if name in case.path_parameters and len(str(case.path_parameters[name])) % 2:
                case.path_parameters[name] = there
        case.call_and_validate(checks=CHECKS)

    try_it()
