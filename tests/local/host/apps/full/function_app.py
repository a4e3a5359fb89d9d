"""A small app that uses everything the local host has."""

import asyncio
import json
import os
from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

GREETING = os.environ["GREETING"]

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

seen: list[object] = []
attempts: dict[str, int] = {}


# -- HTTP --


@app.route(route="tenants/{tenant}/items/{number:int}", methods=["GET", "POST"])
async def item(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    answer = {
        "greeting": GREETING,
        "method": req.method,
        "url": req.url,
        "tenant": req.route_params["tenant"],
        "number": req.route_params["number"],
        "query": dict(req.params),
        "agent": req.headers["User-Agent"],
        "body": req.get_body().decode(),
        "function": context.function_name,
        "invocation": context.invocation_id,
    }
    return func.HttpResponse(
        json.dumps(answer),
        mimetype="application/json",
        headers={"X-Own": "yes", "Set-Cookie": "a=1; Path=/"},
    )


@app.route(route="tenants/special/items/{number:int}", auth_level=func.AuthLevel.ANONYMOUS)
def special(req: func.HttpRequest) -> str:
    return "special"


@app.route(route="fails", auth_level=func.AuthLevel.ANONYMOUS)
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("broken on purpose")


@app.route(route="nothing", auth_level=func.AuthLevel.ANONYMOUS)
def nothing(req: func.HttpRequest):
    return None


@app.route(route="master", auth_level=func.AuthLevel.ADMIN)
def master(req: func.HttpRequest) -> str:
    return "for the master"


# -- durable: client --


@app.route(route="start/{name}/{instance}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    body = req.get_body()
    try:
        instance = await client.start_new(
            req.route_params["name"],
            req.route_params["instance"],
            json.loads(body) if body else None,
        )
    except Exception as error:  # noqa: BLE001 - that is what the client raises
        return func.HttpResponse(str(error), status_code=409)
    return client.create_check_status_response(req, instance)


@app.route(route="raise/{instance}/{event}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def raise_event(
    req: func.HttpRequest, client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    await client.raise_event(
        req.route_params["instance"], req.route_params["event"], json.loads(req.get_body())
    )
    return func.HttpResponse(status_code=202)


# -- durable: activities --


@app.activity_trigger(input_name="name")
async def greet(name: str) -> str:
    await asyncio.sleep(0)
    return f"{GREETING}, {name}"


@app.activity_trigger(input_name="number")
def square(number: int) -> int:
    return number * number


@app.activity_trigger(input_name="order")
def flaky(order: dict) -> dict:
    name = order["name"]
    attempts[name] = attempts.get(name, 0) + 1
    if attempts[name] < order["good_from"]:
        raise ValueError(f"attempt {attempts[name]} of {name} failed")
    return {"attempts": attempts[name]}


@app.activity_trigger(input_name="unused")
def unencodable(unused: object) -> object:
    return {1, 2}


@app.activity_trigger(input_name="unused")
async def forever(unused: object) -> None:
    await asyncio.Event().wait()


# -- durable: orchestrators --


@app.orchestration_trigger(context_name="context")
def greet_all(context: df.DurableOrchestrationContext):
    greetings = []
    names = context.get_input()
    for number, name in enumerate(names):
        context.set_custom_status({"done": number, "of": len(names)})
        greetings.append((yield context.call_activity("greet", name)))
    return greetings


@app.orchestration_trigger(context_name="context")
def squares(context: df.DurableOrchestrationContext):
    numbers = range(context.get_input()["count"])
    results = yield context.task_all([context.call_activity("square", n) for n in numbers])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def calls_by_function(context: df.DurableOrchestrationContext):
    """1.x only: activities and orchestrators given as functions, and the state of tasks."""
    numbers = [context.call_activity(square, n) for n in (1, 2)]
    timer = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    yield context.task_any([numbers[0], timer])
    timer.cancel()
    states = [numbers[0].is_completed, timer.is_completed, timer.is_cancelled]
    yield context.task_all(numbers)
    total = yield context.call_sub_orchestrator(squares, {"count": 3})
    return {"states": states, "results": [task.result for task in numbers], "total": total}


@app.orchestration_trigger(context_name="context")
def retries(context: df.DurableOrchestrationContext):
    order = context.get_input()
    options = df.RetryOptions(10, order["attempts"])
    try:
        return (yield context.call_activity_with_retry("flaky", options, order))
    except Exception as error:  # noqa: BLE001 - that is what a failed task raises
        return {"error": type(error).__name__, "text": str(error)}


@app.orchestration_trigger(context_name="context")
def fails_at_once(context: df.DurableOrchestrationContext):
    context.set_custom_status("about to fail")
    yield context.call_activity("flaky", {"name": context.instance_id, "good_from": 99})


@app.orchestration_trigger(context_name="context")
def returns_a_set(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("unencodable", None))


@app.orchestration_trigger(context_name="context")
def calls_the_unknown(context: df.DurableOrchestrationContext):
    return (yield context.call_activity("no_such_activity", None))


@app.orchestration_trigger(context_name="context")
def sleeps(context: df.DurableOrchestrationContext):
    begin = context.current_utc_datetime
    yield context.create_timer(begin + timedelta(milliseconds=context.get_input()))
    slept = context.current_utc_datetime - begin
    return {"milliseconds": slept / timedelta(milliseconds=1), "zone": str(begin.tzinfo)}


@app.orchestration_trigger(context_name="context")
def waits(context: df.DurableOrchestrationContext):
    context.set_custom_status("waiting")
    event = context.wait_for_external_event("Approval")
    deadline = context.create_timer(context.current_utc_datetime + timedelta(minutes=15))
    winner = yield context.task_any([event, deadline])
    if winner == event:
        deadline.cancel()
        return {"approval": event.result}
    return "nobody came"


@app.orchestration_trigger(context_name="context")
def hangs(context: df.DurableOrchestrationContext):
    yield context.call_activity("forever", None)


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    greetings = yield context.call_sub_orchestrator("greet_all", ["a", "b"])
    try:
        yield context.call_sub_orchestrator("fails_at_once", None, f"{context.instance_id}-child")
    except Exception as error:  # noqa: BLE001 - that is what a failed task raises
        return {"greetings": greetings, "error": str(error)}


@app.orchestration_trigger(context_name="context")
def pages(context: df.DurableOrchestrationContext):
    state = context.get_input()
    state["total"] += yield context.call_activity("square", state["page"])
    context.set_custom_status(state)
    if state["page"] < 3:
        context.continue_as_new({"page": state["page"] + 1, "total": state["total"]})
        return None
    return state["total"]


@app.orchestration_trigger(context_name="context")
def empty(context: df.DurableOrchestrationContext):
    none = yield context.task_all([])
    first, second = context.new_uuid(), context.new_guid()
    yield context.call_activity("square", 1)
    return {"none": none, "uuid": first, "guid": str(second), "parent": context.parent_instance_id}


@app.orchestration_trigger(context_name="context")
def talks_too_much(context: df.DurableOrchestrationContext):
    context.set_custom_status("x" * 9000)
    yield context.call_activity("square", 1)


@app.orchestration_trigger(context_name="context")
def never_yields_one(context: df.DurableOrchestrationContext):
    context.call_activity("flaky", {"name": "never", "good_from": 1})
    return (yield context.call_activity("square", 3))


# -- events, queues, timers --


@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    if event.get_json().get("fail"):
        raise ValueError("asked to fail")
    seen.append(("event", event.id, event.get_json()))


@app.queue_trigger(arg_name="msg", queue_name="%ORDERS_QUEUE%", connection="Storage")
@app.queue_output(arg_name="done", queue_name="done", connection="Storage")
async def on_order(msg: func.QueueMessage, done: func.Out[str]) -> None:
    order = msg.get_json()
    if msg.dequeue_count <= order.get("fails", 0):
        raise ValueError("not yet")
    done.set(json.dumps({"order": order["id"], "tries": msg.dequeue_count}))


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")
@app.queue_output(arg_name="$return", queue_name="nightly", connection="Storage")
def nightly(timer: func.TimerRequest) -> str:
    return "late" if timer.past_due else "on time"


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
@app.queue_output(arg_name="$return", queue_name="ticks", connection="Storage")
def ticks(timer: func.TimerRequest) -> str:
    return "tick"
