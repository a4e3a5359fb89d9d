"""How a step says what became of it, and the one place where errors turn into outcomes.

A step returns a `StepResult`, or raises one of the family in `shared.errors`:

    NotYet          -> wait, and call the step again; an exhausted wait is ``unknown``
    OutcomeUnknown  -> ``unknown``: something was asked for and no answer came
    Refused         -> ``failed``

Anything else is a defect of ours, is not caught here, and reaches the orchestrator as a step
without an answer (``unknown``). Nothing is ever turned into success.
"""

from __future__ import annotations

from typing import Any

from shared.errors import NotYet, OnboardingError, OutcomeUnknown, Refused
from shared.models import Facts, Finding, Outcome, Severity, StepResult, to_json


def ended(
    outcome: Outcome,
    message: str,
    *,
    findings: list[Finding] | None = None,
    facts: dict[str, Any] | None = None,
) -> StepResult:
    """A step that came to its end; ``facts`` maps names of `Facts` to values."""
    return StepResult(
        outcome=outcome, message=message, findings=findings or [], facts=learned(facts or {})
    )


def failed(
    code: str, message: str, *, remediation: str, findings: list[Finding] | None = None
) -> StepResult:
    """A step that cannot reach its goal."""
    return StepResult(
        outcome=Outcome.FAILED,
        message=message,
        code=code,
        remediation=remediation,
        findings=findings or [],
    )


def refused(problems: list[Finding]) -> StepResult:
    """A step that looked before anything was changed, and names all that stands in the way."""
    return failed(
        problems[0].code,
        "Nothing was changed. " + " ".join(_sentence(each.message) for each in problems),
        remediation=" ".join(dict.fromkeys(each.remediation for each in problems)),
        findings=problems,
    )


def not_yet(
    code: str,
    message: str,
    *,
    remediation: str,
    retry_after: float | None = None,
    facts: dict[str, Any] | None = None,
    findings: list[Finding] | None = None,
) -> StepResult:
    """A step that must be called again; what it says here is its outcome if time runs out."""
    return StepResult(
        outcome=Outcome.UNKNOWN,
        message=message,
        code=code,
        remediation=remediation,
        findings=findings or [],
        facts=learned(facts or {}),
        wait=retry_after or 0.0,
    )


def outcome_of(error: OnboardingError) -> StepResult:
    """The result of a step that raised ``error``."""
    if isinstance(error, NotYet):
        return not_yet(
            error.code,
            _told(error),
            remediation=error.remediation,
            retry_after=error.retry_after,
        )
    outcome = Outcome.UNKNOWN if isinstance(error, OutcomeUnknown) else Outcome.FAILED
    return StepResult(
        outcome=outcome, message=_told(error), code=error.code, remediation=error.remediation
    )


def look_again(error: OutcomeUnknown) -> NotYet:
    """For a step that looks before it writes: a write without an answer is no end of it, since the
    next call sees whether it was made."""
    return NotYet(
        error.code,
        error.message,
        remediation=error.remediation,
        tenant_id=error.tenant_id,
        request_id=error.request_id,
    )


def finding_of(error: Refused, subject: str) -> Finding:
    """A refusal as one finding among others."""
    return Finding(
        code=error.code,
        severity=Severity.HIGH,
        subject=subject,
        message=_told(error),
        remediation=error.remediation,
    )


def _told(error: OnboardingError) -> str:
    """What happened, with the service's own id of the call, which its support will ask for."""
    return error.message + (f" (request id {error.request_id})" if error.request_id else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def learned(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts by their name on the wire, as plain JSON."""
    wire = {field.name: field.encode_name for field in _FACT_FIELDS}
    return {wire[name]: to_json(value) for name, value in facts.items()}


def _fact_fields() -> tuple[Any, ...]:
    import msgspec

    return msgspec.structs.fields(Facts)


_FACT_FIELDS = _fact_fields()
