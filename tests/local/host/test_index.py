"""What the host refuses to host, and what it reads from `host.json`."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.host import FunctionsHost, IndexingError
from local.host.settings import HostSettings, read_host_settings

HEADER = """
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp()
"""


def start(folder: Path, source: str, **environ: str) -> None:
    script = folder / "function_app.py"
    script.write_text(HEADER + source, "utf-8")
    FunctionsHost(script, environ).start()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("app = None", "0 function apps"),
        ("other = func.FunctionApp()", "2 function apps"),
        (
            "@app.route('a/{x}', methods=['GET'])\ndef one(req): ...\n"
            "@app.route('A/{y}')\ndef two(req): ...",
            "two: the route conflicts with the route of 'one'",
        ),
        (
            "@app.route('a')\ndef one(req): ...\n"
            "@app.function_name('one')\n@app.route('b')\ndef two(req): ...",
            "one",
        ),
        ("@app.route('a/{x:odd}')\ndef one(req): ...", "constraint 'odd'"),
        ("@app.route('a/x{y}')\ndef one(req): ...", "segment 'x{y}'"),
        ("@app.route('a')\ndef one(request): ...", "without binding: request"),
        ("@app.route('a')\ndef one(): ...", "bindings without parameter: req"),
        (
            "@app.activity_trigger('x')\ndef one(x: dict[str, int]): ...",
            "one: binding x has invalid non-type annotation",
        ),
        ("@app.activity_trigger('x')\ndef one(x: str | None): ...", "non-type annotation"),
        ("@app.activity_trigger('x')\ndef one(x: 'Missing'): ...", "cannot be resolved"),
        ("@app.route('a')\ndef one(req: int): ...", "does not fit binding type httpTrigger"),
        ("@app.route('a')\ndef one(req) -> int: ...", "does not fit binding type http"),
        ("@app.route('a')\ndef one(req) -> 'str | None': ...", "return annotation"),
        ("@app.route('a')\ndef one(req, context: int): ...", "context parameter"),
        (
            "@app.route('a')\n@app.queue_output('q', queue_name='q', connection='c')\n"
            "def one(req, q: int): ...",
            "must be azure.functions.Out",
        ),
        ("@app.route('a')\ndef one(req: func.Out[str]): ...", "must be no azure.functions.Out"),
        ("@app.timer_trigger('t', 'every day')\ndef one(t): ...", "no NCRONTAB expression"),
        ("@app.timer_trigger('t', '%WHEN%')\ndef one(t): ...", "app setting 'WHEN'"),
        (
            "@app.service_bus_queue_trigger('m', queue_name='q', connection='c')\ndef one(m): ...",
            "serviceBusTrigger is not supported",
        ),
        (
            "@app.route('a')\n@app.blob_output('b', path='p', connection='c')\n"
            "def one(req, b): ...",
            "binding blob is not supported",
        ),
        (
            "@app.timer_trigger('t', '0 0 0 * * *')\n"
            "@app.retry(strategy='fixed_delay', max_retry_count='3', delay_interval='1')\n"
            "def one(t): ...",
            "retry policy",
        ),
    ],
)
def test_an_app_that_the_cloud_would_not_host_as_written_is_refused(
    tmp_path: Path, source: str, reason: str
) -> None:
    with pytest.raises(IndexingError, match=reason.replace("{", r"\{").replace("(", r"\(")):
        start(tmp_path, source)


def test_annotations_the_worker_takes_are_taken(tmp_path: Path) -> None:
    script = tmp_path / "function_app.py"
    script.write_text(
        "import typing\n" + HEADER + "@app.activity_trigger('x')\n"
        "def one(x: typing.Dict[str, int]) -> 'list[str] | None': ...\n"
        "@app.activity_trigger('x')\ndef two(x: dict) -> typing.Any: ...\n"
        "@app.route('a')\n@app.queue_output('q', queue_name='q', connection='c')\n"
        "def three(req: func.HttpRequest, q: func.Out[typing.List[str]]) -> str: ...\n"
        "@app.timer_trigger('t', '0 0 0 * * *')\ndef four(t: str): ...",
        "utf-8",
    )
    with FunctionsHost(script, {}) as host:
        assert len(host.functions) == 4


def test_what_the_app_raises_while_it_is_loaded_is_raised(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        start(tmp_path, "1 / 0")


def test_one_route_may_have_one_function_for_each_method(tmp_path: Path) -> None:
    script = tmp_path / "function_app.py"
    script.write_text(
        HEADER + "@app.route('a', methods=['GET'])\ndef one(req): ...\n"
        "@app.route('a', methods=['POST'])\ndef two(req): ...",
        "utf-8",
    )
    with FunctionsHost(script, {}) as host:
        assert [function.name for function in host.functions] == ["one", "two"]


def test_host_json_sets_what_the_host_obeys(tmp_path: Path) -> None:
    assert read_host_settings(tmp_path) == HostSettings()
    (tmp_path / "host.json").write_text(
        """{"version": "2.0", "extensions": {
            "http": {"routePrefix": ""},
            "durableTask": {"hubName": "Hub", "overridableExistingInstanceStates": "AnyState"},
            "queues": {"maxDequeueCount": 2, "visibilityTimeout": "00:01:30"}}}""",
        "utf-8",
    )

    assert read_host_settings(tmp_path) == HostSettings("", "Hub", True, 2, 90.0)
