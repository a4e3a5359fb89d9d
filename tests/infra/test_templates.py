"""The templates fit together, as far as that can be seen without a compiler."""

from __future__ import annotations

import re

import pytest

from tests.infra.bicep import (
    INFRA,
    ROOT,
    code,
    modules,
    parameter_file,
    parameters,
    template,
    templates,
)


@pytest.mark.parametrize("name", templates())
def test_every_template_parses(name: str) -> None:
    assert template(name)["globals"]["scope"]["value"] in ("resourceGroup", "subscription")


@pytest.mark.parametrize("symbol", sorted(modules()))
def test_a_module_is_given_what_it_asks_for_and_nothing_else(symbol: str) -> None:
    name, given, _ = modules()[symbol]
    known = parameters(name)
    needed = {key for key, each in known.items() if each["default"] is None}
    assert needed <= set(given) <= set(known)


def test_every_template_is_used() -> None:
    used = {path for path, _, _ in modules().values()}
    assert set(templates()) == used | {"main.bicep", "subscriptions.bicep"}


@pytest.mark.parametrize("name", templates())
def test_every_parameter_and_variable_is_used(name: str) -> None:
    tree = template(name)
    for symbol in [*tree.get("parameters", {}), *tree.get("variables", {})]:
        assert len(re.findall(rf"\b{symbol}\b", code(name))) > 1, symbol


def test_outputs_that_are_read_exist() -> None:
    read = re.findall(r"\b(\w+)\.outputs\.(\w+)", code("main.bicep"))
    assert read
    for symbol, output in read:
        assert output in template(modules()[symbol][0])["outputs"], f"{symbol}.outputs.{output}"


def test_files_that_are_loaded_exist() -> None:
    for name in templates():
        for path in re.findall(r"load(?:Text|Json)Content\('([^']+)'\)", code(name)):
            assert (INFRA / name).parent.joinpath(path).is_file(), f"{name}: {path}"


def test_azd_gives_every_parameter_and_no_other() -> None:
    assert set(parameter_file()) == set(parameters("main.bicep"))


def test_the_defaults_of_azd_are_those_of_the_template() -> None:
    for name, value in parameter_file().items():
        default = parameters("main.bicep")[name]["default"]
        if isinstance(value, str) and "=" in value:
            shown = value.split("=", 1)[1].rstrip("}")
            assert shown == str(default).lower(), name


def test_the_runtime_is_the_python_that_the_lock_and_the_checks_are_for() -> None:
    version = template("main.bicep")["variables"]["pythonVersion"]["value"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f"--python-version {version} " in makefile
    assert f'python_version = "{version}"' in settings


def test_the_hooks_of_azd_exist() -> None:
    hooks = re.findall(r"python3 (\S+\.py)", (ROOT / "azure.yaml").read_text(encoding="utf-8"))
    assert len(hooks) == 3
    assert all((ROOT / hook).is_file() for hook in hooks)
