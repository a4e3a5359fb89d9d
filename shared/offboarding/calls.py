"""What travels through an offboarding: the order, what was found, and what activities are given."""

from __future__ import annotations

from msgspec import Struct

from shared.models import Finding, Operation, ReceiptEntry, WaitPolicy


class OffboardingOrder(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Which tenant, and what we know of it from our own record.

    ``purge``: delete for good where that is allowed. ``certificate`` is the name in our vault,
    ``own_certificate`` that of the administrator's, where one is in use. Ids are None where the
    tenant was never onboarded so far; ``space`` is None when there is none to look in. ``azure``:
    Reader may have been assigned by us, on ``reader_scopes``; None if not told.
    """

    operation_id: str
    tenant_id: str
    application_name: str
    certificate: str
    own_certificate: str | None = None
    purge: bool = False
    space: str | None = None
    app_id: str | None = None
    application_object_id: str | None = None
    service_principal_id: str | None = None
    integration: str | None = None
    azure_integration: str | None = None
    azure: bool = False
    reader_scopes: list[str] | None = None


class OffboardingFacts(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What the steps found and did: the receipt as far as it is written.

    ``blocked`` says of a place (see `shared.offboarding.steps`) why nothing could be seen there.
    """

    entries: list[ReceiptEntry] = []
    blocked: dict[str, Finding] = {}
    app_id: str | None = None
    principal_id: str | None = None


class OffboardingCall(Struct, frozen=True, rename="camel"):
    """The input of a step's activity."""

    order: OffboardingOrder
    facts: OffboardingFacts


class OffboardingRecordCall(Struct, frozen=True, rename="camel"):
    """The input of the activity that writes the receipt."""

    order: OffboardingOrder
    facts: OffboardingFacts
    operation: Operation


class OffboardingStart(Struct, frozen=True, rename="camel"):
    """The input of the orchestrator; ``operation`` as it is before its first step."""

    operation: Operation
    order: OffboardingOrder
    waits: WaitPolicy
