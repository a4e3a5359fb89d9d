"""The hooks of azd, run as azd runs them, with an Azure CLI that keeps its state in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local.simulators.catalogue import ALL_AUTOMATION_RIGHTS, GRAPH_ROLES
from shared.rights import ONBOARDING_RIGHTS, READ_POLICIES, REPORT_RIGHTS
from tests.infra.bicep import INFRA

RIGHTS = json.loads((INFRA / "identity" / "graph-rights.json").read_text(encoding="utf-8"))
CLIENT = "11111111-aaaa-4bbb-8ccc-222222222222"

AZ = """\
#!{python}
import json, pathlib, sys
file = pathlib.Path({state!r})
state = json.loads(file.read_text())
words = sys.argv[1:]
given = dict(zip(words, words[1:]))
url = given.get("--url", "")
state["calls"].append(words)
answer = None
if words[:2] == ["cloud", "show"]:
    answer = {{"endpoints": {{"microsoftGraphResourceId": "https://graph.example/"}}}}
elif words[0] == "functionapp":
    answer = [{{"name": "app/" + name}} for name in state["functions"]]
elif words[0] == "rest" and given["--method"] == "post":
    body = json.loads(given["--body"])
    if body["appRoleId"] in state["refused"]:
        file.write_text(json.dumps(state))
        sys.exit("ERROR: Bad Request\\nNot a valid reference update.")
    assert body["principalId"] == "principal" and body["resourceId"] == "graph"
    state["held"].append(body["appRoleId"])
    answer = body
elif "appRoleAssignments" in url:
    half = len(state["held"]) // 2
    page = state["held"][half:] if "page=2" in url else state["held"][:half]
    answer = {{"value": [{{"appRoleId": each, "resourceId": "graph"}} for each in page]}}
    answer["value"].append({{"appRoleId": "other", "resourceId": "another API"}})
    if "page=2" not in url:
        answer["@odata.nextLink"] = url + "&page=2"
elif "00000003" in url:
    roles = [{{"id": id_, "value": name}} for name, id_ in state["roles"].items()]
    answer = {{"id": "graph", "appRoles": roles}}
elif words[0] == "rest":
    answer = {{"id": "principal", "displayName": "automation"}}
file.write_text(json.dumps(state))
print(json.dumps(answer) if answer is not None else "")
"""


class Shell:
    """Runs a hook with the environment that azd would give it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "state.json"
        self._folder = folder
        self.change(calls=[], held=[], refused=[], functions=[], roles=GRAPH_ROLES)
        program = folder / "az"
        program.write_text(AZ.format(python=sys.executable, state=str(self._file)))
        program.chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_text()))

    def change(self, **values: Any) -> None:
        known = self.state if self._file.exists() else {}
        self._file.write_text(json.dumps({**known, **values}))

    def run(self, hook: str, **environ: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(INFRA / "hooks" / hook)],
            env={"PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def names(rights: list[dict[str, str]]) -> set[str]:
    return {each["name"] for each in rights}


def test_the_list_is_what_onboarding_asks_for_in_preflight() -> None:
    assert names(RIGHTS["onboarding"]) == {right.name for right in ONBOARDING_RIGHTS}
    assert names(RIGHTS["onboarding"]) == ALL_AUTOMATION_RIGHTS


def test_the_list_for_audits_can_only_read() -> None:
    assert all(".Read." in name for name in names(RIGHTS["audit"]))
    # With the last one preflight reads a tenant's policies, so that it lacks only what changes.
    assert names(RIGHTS["audit"]) == {right.name for right in (*REPORT_RIGHTS, READ_POLICIES)}


def test_the_ids_are_those_of_microsoft_graph() -> None:
    for each in [*RIGHTS["onboarding"], *RIGHTS["audit"]]:
        assert GRAPH_ROLES.get(each["name"], each["id"]) == each["id"]
    assert names(RIGHTS["onboarding"]) <= set(GRAPH_ROLES)


class TestGrantingRights:
    HOOK = "grant_graph_rights.py"

    def test_what_is_missing_is_granted_and_printed(self, shell: Shell) -> None:
        code, told = shell.run(self.HOOK, AUTOMATION_CLIENT_ID=CLIENT, GRANT_GRAPH_RIGHTS="yes")
        assert code == 0, told
        assert set(shell.state["held"]) == {each["id"] for each in RIGHTS["onboarding"]}
        for each in RIGHTS["onboarding"]:
            assert f"  {each['name']:<36} granted\n" in told

    def test_a_second_run_grants_nothing_and_says_so(self, shell: Shell) -> None:
        environ = {"AUTOMATION_CLIENT_ID": CLIENT, "GRANT_GRAPH_RIGHTS": "yes"}
        shell.run(self.HOOK, **environ)
        held = shell.state["held"]
        code, told = shell.run(self.HOOK, **environ)
        assert (code, shell.state["held"]) == (0, held)
        assert told.count("was granted already") == len(RIGHTS["onboarding"])

    def test_the_read_only_variant_grants_nothing_that_writes(self, shell: Shell) -> None:
        environ = {"AUTOMATION_CLIENT_ID": CLIENT, "GRANT_GRAPH_RIGHTS": "yes"}
        code, told = shell.run(self.HOOK, AUDIT_ONLY="true", **environ)
        assert code == 0, told
        assert set(shell.state["held"]) == {each["id"] for each in RIGHTS["audit"]}
        assert "ReadWrite" not in told

    def test_a_right_beside_the_list_is_told_and_left(self, shell: Shell) -> None:
        shell.change(held=[GRAPH_ROLES["AppRoleAssignment.ReadWrite.All"]])
        _, told = shell.run(
            self.HOOK, AUDIT_ONLY="true", AUTOMATION_CLIENT_ID=CLIENT, GRANT_GRAPH_RIGHTS="no"
        )
        assert f"  {'AppRoleAssignment.ReadWrite.All':<36} not on the list" in told
        assert shell.state["held"] == [GRAPH_ROLES["AppRoleAssignment.ReadWrite.All"]]

    def test_a_refused_grant_is_never_called_granted_and_the_others_are_made(
        self, shell: Shell
    ) -> None:
        refused = GRAPH_ROLES["Policy.Read.All"]
        shell.change(refused=[refused])
        code, told = shell.run(self.HOOK, AUTOMATION_CLIENT_ID=CLIENT, GRANT_GRAPH_RIGHTS="yes")
        assert code == 1
        assert f"  {'Policy.Read.All':<36} MISSING. Not a valid reference update." in told
        assert len(shell.state["held"]) == len(RIGHTS["onboarding"]) - 1
        assert "azd hooks run postprovision" in told

    def test_without_a_word_or_a_keyboard_nothing_is_granted(self, shell: Shell) -> None:
        code, told = shell.run(self.HOOK, AUTOMATION_CLIENT_ID=CLIENT)
        assert (code, shell.state["held"]) == (0, [])
        assert told.count("MISSING") == len(RIGHTS["onboarding"])


class TestSubscribing:
    def test_the_subscriptions_of_the_functions_there_are_deployed(self, shell: Shell) -> None:
        shell.change(functions=["health", "tenant_added_event"])
        code, told = shell.run(
            "subscribe_events.py",
            AZURE_RESOURCE_GROUP="rg-test",
            FUNCTION_APP_NAME="func-test",
            EVENT_TOPIC_NAME="evgt-test",
            VAULT_EVENTS_NAME="evgs-test",
            STORAGE_NAME="sttest",
        )
        assert code == 0, told
        (deployment,) = [call for call in shell.state["calls"] if call[0] == "deployment"]
        assert 'functions=["health", "tenant_added_event"]' in deployment
        assert "functionAppName=func-test" in deployment


class TestGoingDown:
    def test_without_a_word_nothing_is_removed(self, shell: Shell) -> None:
        code, told = shell.run("before_down.py", AZURE_ENV_NAME="prod")
        assert code == 1
        assert "Offboard every tenant first" in told
        assert "Nothing was removed." in told

    def test_only_the_right_name_goes_on(self, shell: Shell) -> None:
        wrong, _ = shell.run("before_down.py", AZURE_ENV_NAME="prod", CONFIRM_DOWN="yes")
        right, _ = shell.run("before_down.py", AZURE_ENV_NAME="prod", CONFIRM_DOWN="prod")
        assert (wrong, right) == (1, 0)
