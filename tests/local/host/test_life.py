"""Starting and stopping: fresh at every start, nothing left at the end."""

from __future__ import annotations

import logging
import os
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

from local.host import FunctionsHost
from local.host.capture import LogCapture
from tests.local.host.conftest import ENVIRON, SAMPLE


def test_a_stopped_host_leaves_no_thread_no_listener_and_no_log_handler() -> None:
    before = set(threading.enumerate())
    handlers, level = list(logging.root.handlers), logging.root.level
    with FunctionsHost(SAMPLE, ENVIRON) as host, httpx.Client(base_url=host.url) as client:
        assert client.post("/api/start/hangs/never-ends").status_code == 202
        assert client.post("/api/start/waits/neither").status_code == 202
        host.wait_for("neither", lambda each: each["runtimeStatus"] == "Running")
        address = urlsplit(host.url)

    assert set(threading.enumerate()) == before
    assert (logging.root.handlers, logging.root.level) == (handlers, level)
    with socket.socket() as probe:
        assert probe.connect_ex((address.hostname, address.port)) != 0


def test_stopping_lets_go_of_a_caller_that_waits_for_an_orchestration() -> None:
    host = FunctionsHost(SAMPLE, ENVIRON).start()
    answers: list[httpx.Response] = []
    url = f"{host.url}/runtime/webhooks/durabletask/orchestrators/hangs/waited-for"

    def wait_long() -> None:
        answers.append(httpx.post(f"{url}?timeout=600&pollingInterval=1", timeout=600))

    caller = threading.Thread(target=wait_long)
    caller.start()
    host.wait_for("waited-for", lambda each: each["runtimeStatus"] == "Running")
    host.stop()
    caller.join(10)

    assert [answer.status_code for answer in answers] == [202]


def test_who_comes_to_wait_while_the_host_stops_is_let_go_at_once() -> None:
    with FunctionsHost(SAMPLE, ENVIRON) as host, httpx.Client(base_url=host.url) as client:
        assert client.post("/api/start/hangs/just-begun").status_code == 202
        backend = host._engine.backend
        backend.release_waiters()
        assert backend.wait_for("just-begun", backend.finished, timeout=600) is None


def test_what_was_written_can_be_read_after_the_end() -> None:
    with FunctionsHost(SAMPLE, ENVIRON) as host, httpx.Client(base_url=host.url) as client:
        client.post("/api/start/greet_all/read-later", json=["x"])
        host.wait_for("read-later")

    assert host.instances()[0]["output"] == ["hi, x"]
    assert host.history("read-later")
    assert len(host.logs) > 0


def test_every_start_loads_the_script_anew_with_the_environment_it_is_given() -> None:
    os.environ["LEFT_OVER"] = "yes"
    try:
        modules = []
        for greeting in ("hi", "hello"):
            with FunctionsHost(SAMPLE, {**ENVIRON, "GREETING": greeting}) as host:
                with httpx.Client(base_url=host.url) as client:
                    assert client.get("/api/tenants/t/items/1").json()["greeting"] == greeting
                    assert client.post(f"/api/start/greet_all/{greeting}").status_code == 202
                modules.append(host.module)
    finally:
        del os.environ["LEFT_OVER"]

    assert modules[0] is not modules[1]
    assert "GREETING" not in os.environ


def test_several_hosts_can_run_in_one_process_and_stop_in_any_order() -> None:
    first = FunctionsHost(SAMPLE, ENVIRON).start()
    try:
        second = FunctionsHost(SAMPLE, {**ENVIRON, "GREETING": "hello"}).start()
        try:
            for host in (first, second):
                httpx.post(f"{host.url}/api/start/greet_all/same-id", json=["x"])
        finally:
            first.stop()
        assert first.instances()[0]["output"] in (None, ["hi, x"])
        assert second.wait_for("same-id")["output"] == ["hello, x"]
    finally:
        second.stop()


def test_a_host_that_cannot_start_can_be_followed_by_one_that_can() -> None:
    with pytest.raises(KeyError, match="GREETING"):
        FunctionsHost(SAMPLE, {}).start()
    with FunctionsHost(SAMPLE, ENVIRON) as host:
        assert host.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            FunctionsHost(SAMPLE, ENVIRON, port=taken.getsockname()[1]).start()


def test_work_can_be_run_where_the_functions_run(host: FunctionsHost) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert host.run(where()) == "host-functions"


def test_records_of_a_level_are_printed_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    capture = LogCapture(logging.ERROR)
    capture.install()
    try:
        logging.getLogger("app").warning("quiet")
        logging.getLogger("app").error("loud")
    finally:
        capture.remove()

    assert [line.rpartition("app: ")[2] for line in capture.lines()] == ["quiet", "loud"]
    assert "loud" in capsys.readouterr().err
