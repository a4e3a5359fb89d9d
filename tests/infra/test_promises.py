"""What the deployment promises: no secret, least rights, and what can be chosen by parameter."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.stack import LocalStack
from shared.clouds import CLOUDS
from shared.config import SETTINGS
from shared.triggers.access import OPEN_ROUTES
from tests.infra.bicep import (
    ROOT,
    code,
    conditional,
    modules,
    parameter_file,
    parameters,
    resources,
    template,
    templates,
    the,
    words,
)

STORAGE = "Microsoft.Storage/storageAccounts"
VAULT = "Microsoft.KeyVault/vaults"
TOPIC = "Microsoft.EventGrid/topics"
SITE = "Microsoft.Web/sites"
ROLE = "Microsoft.Authorization/roleAssignments"


class TestNoSecret:
    def test_storage_has_no_shared_keys_and_no_public_blobs(self) -> None:
        account = the(STORAGE)
        assert account.at("properties.allowSharedKeyAccess") is False
        assert account.at("properties.allowBlobPublicAccess") is False
        containers = resources("Microsoft.Storage/storageAccounts/blobServices/containers")
        assert {each.at("properties.publicAccess") for each in containers} == {"None"}

    def test_topic_telemetry_and_logs_refuse_keys(self) -> None:
        assert the(TOPIC).at("properties.disableLocalAuth") is True
        assert the("Microsoft.Insights/components").at("properties.DisableLocalAuth") is True
        workspace = the("Microsoft.OperationalInsights/workspaces")
        assert workspace.at("properties.features.disableLocalAuth") is True

    def test_nothing_is_published_with_a_password(self) -> None:
        policies = resources("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
        assert {each.at("name") for each in policies} == {"ftp", "scm"}
        assert {each.at("properties.allow") for each in policies} == {False}

    def test_no_template_reads_a_key_or_takes_a_secret(self) -> None:
        for name in templates():
            assert not re.search(r"\blist(Keys|AccountSas|ServiceSas|Secrets)\b", code(name)), name
            assert not re.search(r"\bgetSecret\b|AccountKey|SharedAccessKey|\?sv=", code(name)), (
                name
            )
            assert "@secure" not in code(name), name

    def test_connections_go_by_identity(self) -> None:
        platform = template("app/function-app.bicep")["variables"]["platformSettings"]["value"]
        assert set(platform) == {
            "AzureWebJobsStorage__credential",
            "AzureWebJobsStorage__clientId",
            "AzureWebJobsStorage__blobServiceUri",
            "AzureWebJobsStorage__queueServiceUri",
            "AzureWebJobsStorage__tableServiceUri",
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        }
        assert platform["AzureWebJobsStorage__credential"] == "managedidentity"
        assert "Authorization=AAD" in platform["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]
        scheduler = template("app/function-app.bicep")["variables"]["schedulerSettings"]["value"]
        _, none, settings = conditional(scheduler)
        assert none == {}
        assert "Authentication=ManagedIdentity" in settings["DURABLE_TASK_SCHEDULER"]
        storage = the(SITE).at("properties.functionAppConfig.deployment.storage")
        assert storage["authentication"]["type"] == "UserAssignedIdentity"

    def test_the_app_has_these_settings_and_the_products_and_no_other(self) -> None:
        (settings,) = [
            each
            for each in resources("Microsoft.Web/sites/config")
            if each.at("name") == "appsettings"
        ]
        merged = r"properties: union\(settings, platformSettings, schedulerSettings\)"
        assert re.search(merged, code(settings.template))
        assert "settings: union(settings, derivedSettings)" in code("main.bicep")
        assert "appSettings" not in words(the(SITE).at("properties.siteConfig"))

    def test_every_binding_of_the_app_goes_over_the_connection_by_identity(
        self, stack: LocalStack
    ) -> None:
        used = {
            binding["connection"]
            for function in stack.host.functions
            for binding in function.bindings
            if "connection" in binding
        }
        assert used == {"AzureWebJobsStorage"}

    def test_no_output_holds_a_secret(self) -> None:
        for name in templates():
            for output, told in template(name).get("outputs", {}).items():
                seen = " ".join([output, *words(told["value"])])
                assert not re.search(
                    r"(?i)secret|password|connectionstring|key(?!_?vault)", seen
                ), f"{name}: {output}"
                assert told["type"] == "string"

    def test_applications_have_neither_secret_nor_certificate(self) -> None:
        for application in resources("Microsoft.Graph/applications"):
            assert not {"passwordCredentials", "keyCredentials"} & set(words(application.config))


class TestHardened:
    def test_tls_1_2_or_later_everywhere(self) -> None:
        assert the(STORAGE).at("properties.minimumTlsVersion") == "TLS1_2"
        assert the(STORAGE).at("properties.supportsHttpsTrafficOnly") is True
        assert the(TOPIC).at("properties.minimumTlsVersionAllowed") == "1.2"
        assert the(SITE).at("properties.siteConfig.minTlsVersion") == "1.2"
        assert the(SITE).at("properties.siteConfig.scmMinTlsVersion") == "1.2"
        assert the(SITE).at("properties.httpsOnly") is True
        assert the(SITE).at("properties.siteConfig.ftpsState") == "Disabled"

    def test_the_vault_goes_by_roles_and_cannot_be_purged(self) -> None:
        vault = the(VAULT)
        assert vault.at("properties.enableRbacAuthorization") is True
        assert vault.at("properties.enablePurgeProtection") is True
        assert vault.at("properties.enableSoftDelete") is True
        assert "accessPolicies" not in vault.at("properties")

    def test_the_app_has_one_identity_and_it_is_user_assigned(self) -> None:
        assert the(SITE).at("identity.type") == "UserAssigned"
        assert len(resources("Microsoft.ManagedIdentity/userAssignedIdentities")) == 1


class TestRights:
    LIST: dict[str, dict[str, Any]] = json.loads(
        Path(__file__).with_name("roles.json").read_text(encoding="utf-8")
    )

    def test_role_assignments_are_those_on_our_list(self) -> None:
        names = set(template("app/roles.bicep")["variables"]["role"]["value"])
        made = {}
        for each in resources(ROLE):
            assert each.template == "app/roles.bicep"
            mentioned = set()
            for word in words(each.at("properties.roleDefinitionId")):
                mentioned |= names & {word}
            made[each.symbol] = {"roles": sorted(mentioned), "scope": each.at("scope")}
        assert made == self.LIST

    def test_each_says_why(self) -> None:
        for each in resources(ROLE):
            (description,) = [d for d in each.decorators if d["type"] == "description"]
            assert description["argument"].startswith("Why: "), each.symbol

    def test_no_right_is_for_the_whole_group_or_subscription(self) -> None:
        assert all("scope" in each.config for each in resources(ROLE))

    def test_roles_are_the_published_ones(self) -> None:
        assert template("app/roles.bicep")["variables"]["role"]["value"] == {
            "certificatesOfficer": "a4417e6f-fecd-4de8-b567-7b0420556985",
            "certificateUser": "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba",
            "secretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
            "blobOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
            "blobContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            "queueContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
            "tableContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
            "metricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
            "eventSender": "d5a91429-5739-47e2-a06b-3470a27159e7",
            "durableTaskContributor": "0ad04412-c4d5-4796-b79c-f76d14c8d402",
        }

    def test_an_audit_only_deployment_cannot_make_certificates(self) -> None:
        (each,) = [r for r in resources(ROLE) if r.symbol == "vaultCertificates"]
        seen = list(words(each.at("properties.roleDefinitionId")))
        assert seen.index("auditOnly") < seen.index("certificateUser")
        assert seen.index("certificateUser") < seen.index("certificatesOfficer")


class TestSettings:
    @staticmethod
    def derived() -> set[str]:
        return set(template("main.bicep")["variables"]["derivedSettings"]["value"])

    def test_each_setting_of_the_app_is_set_once_and_no_other(self) -> None:
        given = set(parameter_file()["settings"])
        assert not given & self.derived()
        assert given | self.derived() == {setting.name for setting in SETTINGS}

    def test_only_one_module_reads_the_environment(self) -> None:
        """And only one place hands it over: so no setting is read that is not in the table."""
        reading = [
            path.name
            for path in [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]
            if re.search(r"\benviron\b|\bgetenv\b", path.read_text(encoding="utf-8"))
        ]
        assert reading == ["function_app.py", "config.py"]

    def test_an_empty_value_leaves_the_default_to_the_app(self) -> None:
        for name, value in parameter_file()["settings"].items():
            assert value == f"${{{name}=}}"

    def test_the_example_for_a_workstation_names_each_setting_and_no_other(self) -> None:
        path = ROOT / "local.settings.example.json"
        example = json.loads(path.read_text(encoding="utf-8"))["Values"]
        platform = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}
        assert set(example) - platform == {setting.name for setting in SETTINGS}
        for setting in SETTINGS:
            assert example[setting.name] == (setting.default or "") or setting.name in (
                "IDENTITY",
                "KEY_VAULT_URL",
                "TENANT_RECORDS",
            )


class TestChoices:
    @pytest.mark.parametrize("kind", [STORAGE, VAULT, TOPIC])
    def test_private_networking_switches_public_access_off(self, kind: str) -> None:
        condition, private, public = conditional(the(kind).at("properties.publicNetworkAccess"))
        assert (condition, private, public) == ("privateNetworking", "Disabled", "Enabled")

    @pytest.mark.parametrize("kind", [STORAGE, VAULT])
    def test_private_networking_closes_the_firewall(self, kind: str) -> None:
        _, private, _ = conditional(the(kind).at("properties.networkAcls.defaultAction"))
        assert private == "Deny"

    def test_private_networking_gives_each_service_an_endpoint(self) -> None:
        assert modules()["network"][2] == "privateNetworking"
        targets = template("app/network.bicep")["variables"]["targets"]["value"]
        assert {each["name"] for each in targets} == {"blob", "queue", "table", "vault", "topic"}
        assert "appSubnetId" in words(the(SITE).at("properties.virtualNetworkSubnetId"))

    def test_the_durable_backend_is_storage_unless_the_scheduler_is_chosen(self) -> None:
        assert parameters("main.bicep")["durableBackend"]["default"] == "storage"
        assert {"durableBackend", "scheduler"} <= set(words(modules()["scheduler"][2]))

    def test_authentication_in_front_answers_401_and_needs_no_client_secret(self) -> None:
        (front,) = [
            each
            for each in resources("Microsoft.Web/sites/config")
            if each.at("name") == "authsettingsV2"
        ]
        validation = front.at("properties.globalValidation")
        assert validation["unauthenticatedClientAction"] == "Return401"
        assert "authenticationClientId" in words(validation["requireAuthentication"])
        assert "clientSecretSettingName" not in words(front.config)

    def test_what_is_open_in_front_is_what_is_open_in_the_app(self) -> None:
        (front,) = [
            each
            for each in resources("Microsoft.Web/sites/config")
            if each.at("name") == "authsettingsV2"
        ]
        paths = set(front.at("properties.globalValidation.excludedPaths"))
        webhooks = {path for path in paths if path.startswith("/runtime/webhooks/")}
        assert paths - webhooks == {f"/api/{route}" for route in OPEN_ROUTES}

    def test_sovereign_clouds_are_chosen_by_parameter(self) -> None:
        allowed = next(
            d["argument"]
            for d in parameters("main.bicep")["cloud"]["decorators"]
            if d["type"] == "allowed"
        )
        assert set(allowed) == set(CLOUDS)
        audiences = template("main.bicep")["variables"]["federationAudiences"]["value"]
        told = {name.strip("'"): value for name, value in audiences.items()}
        assert told == {name: cloud.federation_audience for name, cloud in CLOUDS.items()}

    @pytest.mark.parametrize("name", templates())
    def test_no_host_of_one_cloud_is_written_down(self, name: str) -> None:
        hosts = r"core\.windows\.net|vault\.azure\.net|login\.microsoftonline|management\.azure"
        assert not re.search(hosts, code(name))


class TestWatched:
    def test_failed_operations_expiring_certificates_and_dead_letters_are_told(self) -> None:
        queries = template("app/alerts.bicep")["variables"]["queries"]["value"]
        assert {each["name"] for each in queries} == {"failed-operations", "expiring-certificates"}
        alert = the("Microsoft.Insights/metricAlerts")
        assert "DeadLetteredCount" in words(alert.config)

    def test_a_budget_can_be_set(self) -> None:
        budget = the("Microsoft.Consumption/budgets")
        assert budget.at("properties.amount") == "amount"
        assert "monthlyBudget" in words(modules()["budget"][2])

    def test_the_vault_writes_down_who_read_what(self) -> None:
        settings = the("Microsoft.Insights/diagnosticSettings")
        assert "audit" in words(settings.at("properties.logs"))

    def test_what_cannot_be_delivered_is_kept(self) -> None:
        for kind in ("topics", "systemTopics"):
            (subscription,) = resources(f"Microsoft.EventGrid/{kind}/eventSubscriptions")
            kept = subscription.at("properties.deadLetterWithResourceIdentity")
            assert kept["identity"]["type"] == "SystemAssigned"
            assert "dead-letters" in words(kept)


def test_the_readme_says_that_no_deployment_was_tried() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    untried = readme.split("## What has not been tried", 1)[1].split("\n## ", 1)[0]
    assert "a real `azd up`" in untried
