"""Every function that something in Azure must feed is fed by the deployment."""

from __future__ import annotations

from typing import Any

from local.host.index import EVENT_GRID, QUEUE
from local.stack import LocalStack
from tests.infra.bicep import modules, template


def subscribed() -> dict[str, list[str]]:
    """Event types by the function that they are delivered to."""
    variables = template("subscriptions.bicep")["variables"]
    listed: list[dict[str, Any]] = [
        *variables["topicSubscriptions"]["value"],
        *variables["vaultSubscriptions"]["value"],
    ]
    return {each["function"]: each["types"] for each in listed}


def test_every_function_with_an_event_grid_trigger_has_a_subscription(stack: LocalStack) -> None:
    functions = {each.name for each in stack.host.functions if each.kind == EVENT_GRID}
    assert functions <= set(subscribed()), "add it to infra/subscriptions.bicep"


def test_every_queue_that_a_function_reads_is_made(stack: LocalStack) -> None:
    queues = {each.trigger["queueName"] for each in stack.host.functions if each.kind == QUEUE}
    assert queues <= set(modules()["storage"][1]["queueNames"])


def test_no_function_is_subscribed_without_a_filter() -> None:
    assert all(subscribed().values())
