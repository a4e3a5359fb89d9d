"""Results never reach another life of an instance than the one that asked for them."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import pytest

from local.host.backend import Backend
from local.host.engine import Engine
from local.host.payloads import wrap


class App:
    """Orchestrators whose activities end when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []
        self._changed = threading.Condition()
        self.engine = Engine(
            {"asks": self.asks, "sleeps": self.sleeps, "loops": self.loops, "parent": self.parent},
            frozenset({"answer"}),
            self.run_activity,
        )

    def run_activity(self, name: str, value: Any, instance_id: str) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changed:
            self.asked.append((value, future))
            self._changed.notify_all()
        if value == "at once":
            future.set_result("done")
        return future

    def asks(self, context: Any) -> Any:
        return (yield context.call_activity("answer", context.get_input()))

    def sleeps(self, context: Any) -> Any:
        timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
        quick = context.call_activity("answer", "at once")
        yield context.task_any([timer, quick])
        if context.get_input() == "cancel":
            timer.cancel()
        return "woken"

    def loops(self, context: Any) -> Any:
        while True:
            yield context.call_activity("answer", "at once")

    def parent(self, context: Any) -> Any:
        return (yield context.call_sub_orchestrator("asks", "child question", "child"))

    def wait(self, instance_id: str) -> Any:
        instance = self.engine.backend.wait_for(instance_id, self.engine.backend.finished, 10)
        assert instance is not None
        return instance

    def wait_for_question(self, question: str) -> Future[Any]:
        def answers() -> list[Future[Any]]:
            return [future for value, future in self.asked if value == question]

        with self._changed:
            assert self._changed.wait_for(lambda: bool(answers()), 10)
            return answers()[0]


@pytest.fixture
def app() -> Any:
    app = App()
    app.engine.start()
    yield app
    app.engine.stop()


def test_an_answer_for_a_terminated_life_does_not_reach_the_next(app: App) -> None:
    app.engine.new("asks", "one", wrap("first"))
    late = app.wait_for_question("first")
    app.engine.terminate("one", "stop")
    app.wait("one")
    app.engine.new("asks", "one", wrap("second"))
    timely = app.wait_for_question("second")

    late.set_result("late")
    timely.set_result("in time")

    assert app.wait("one").output == '"in time"'


def test_a_terminated_orchestration_does_nothing_more(app: App) -> None:
    app.engine.new("asks", "one", wrap("question"))
    answer = app.wait_for_question("question")
    app.engine.terminate("one", "stop")
    app.wait("one")
    events = len(app.engine.backend.history_of("one"))

    answer.set_result("late")

    assert len(app.engine.backend.history_of("one")) == events
    assert app.engine.backend.instance("one").pending_events == []


def test_a_parent_hears_of_its_child_and_of_its_childs_termination(app: App) -> None:
    app.engine.new("parent", "p", wrap(None))
    app.wait_for_question("child question")
    app.engine.terminate("child", "stop")

    assert "'child' was terminated" in app.wait("p").failure_details.errorMessage


def test_a_timer_that_was_not_cancelled_holds_the_orchestration(app: App) -> None:
    app.engine.new("sleeps", "held", wrap("keep"))
    app.engine.new("sleeps", "free", wrap("cancel"))

    assert app.wait("free").output == '"woken"'
    assert not app.engine.backend.finished(app.engine.backend.instance("held"))


def test_a_history_that_grows_without_end_fails_with_that_reason() -> None:
    app = App()
    app.engine.backend._limit = 100
    app.engine.start()
    try:
        app.engine.new("loops", "endless", wrap(None))
        failure = app.wait("endless").failure_details.errorMessage
    finally:
        app.engine.stop()

    assert "history is longer than 100 events" in failure


def test_the_backend_listens_nowhere() -> None:
    backend = Backend()
    try:
        assert backend.start() == ""
        assert backend._server is None
    finally:
        backend.stop()
