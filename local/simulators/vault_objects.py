"""Named objects of a vault and their soft delete, for secrets and certificates alike.

An object has versions, the newest last. Deleting moves it to another shelf, from which it is
recovered, purged, or dropped when its retention ends; until then its name is taken. Names keep the
letter case in which they were first written and are found in any. A deletion may take a while
(`deletion_delay`, on the simulators' clock), as in reality: meanwhile neither the object nor the
deleted object answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import uuid4

from local.simulators.clock import Clock
from local.simulators.vault_certificates import Key, KeyAndChain
from local.simulators.vault_errors import (
    Kind,
    being_deleted,
    deleted_but_recoverable,
    deleted_not_found,
    invalid_name,
    not_found,
    purge_protected,
)
from local.simulators.vault_policies import Policy

RETENTION_DAYS = 90
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


@dataclass(slots=True, repr=False)
class SecretVersion:
    """One version of a secret; times are Unix seconds."""

    id: str
    value: str
    created: int
    updated: int
    content_type: str | None = None
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Secret:
    """A secret with its versions by id."""

    name: str
    versions: dict[str, SecretVersion] = field(default_factory=dict)

    @property
    def newest(self) -> SecretVersion:
        """The version that a call without a version means."""
        return self.versions[next(reversed(self.versions))]


@dataclass(slots=True, repr=False)
class CertificateVersion:
    """One version of a certificate; `policy` is the one it was made or imported with."""

    id: str
    material: KeyAndChain
    policy: Policy
    created: int
    updated: int
    enabled: bool = True
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, repr=False)
class PendingCertificate:
    """A certificate that is being made: `ready_at` is never for issuer `Unknown`."""

    policy: Policy
    key: Key
    request: bytes
    request_id: str
    ready_at: datetime | None
    enabled: bool
    tags: dict[str, str]
    cancelled: bool = False
    completed: bool = False


@dataclass(slots=True)
class Certificate:
    """A certificate with its policy, its versions by id, and what is in the making."""

    name: str
    policy: Policy
    policy_created: int
    policy_updated: int
    versions: dict[str, CertificateVersion] = field(default_factory=dict)
    pending: PendingCertificate | None = None

    @property
    def newest(self) -> CertificateVersion | None:
        """The version that a call without a version means; none before the first is ready."""
        return self.versions[next(reversed(self.versions))] if self.versions else None


T = TypeVar("T", Secret, Certificate)


@dataclass(slots=True)
class Deletion(Generic[T]):
    """A soft-deleted object."""

    subject: T
    deleted_at: datetime
    done_at: datetime
    purge_at: datetime

    def as_json(self, url: str) -> dict[str, Any]:
        """What a deleted object shows in addition; `url` is its recovery id."""
        return {
            "recoveryId": url,
            "deletedDate": seconds(self.deleted_at),
            "scheduledPurgeDate": seconds(self.purge_at),
        }


class Shelf(Generic[T]):
    """All secrets, or all certificates, of a vault."""

    def __init__(self, kind: Kind, clock: Clock) -> None:
        self.kind: Kind = kind
        self.deletion_delay = 0.0
        self.purge_protection = False
        self._clock = clock
        self._active: dict[str, T] = {}
        self._deleted: dict[str, Deletion[T]] = {}

    def __iter__(self) -> Iterator[T]:
        return iter(sorted(self._active.values(), key=lambda subject: subject.name.lower()))

    def find(self, name: str) -> T | None:
        """The object, or `None`."""
        return self._active.get(name.lower())

    def get(self, name: str) -> T:
        """The object, or 404."""
        subject = self.find(name)
        if subject is None:
            raise not_found(self.kind, name)
        return subject

    def add(self, subject: T) -> T:
        """Put a new object on the shelf."""
        self._active[subject.name.lower()] = subject
        return subject

    def remove(self, subject: T) -> None:
        """Forget an object that never came to be."""
        del self._active[subject.name.lower()]

    def check_free(self, name: str) -> None:
        """409 if a soft-deleted object holds the name."""
        deletion = self.deleted().get(name.lower())
        if deletion is None:
            return
        if deletion.done_at > self._clock.now():
            raise being_deleted(self.kind, name)
        raise deleted_but_recoverable(self.kind, name)

    def delete(self, name: str) -> Deletion[T]:
        """Move the object to the deleted ones."""
        subject = self.get(name)
        now = self._clock.now()
        deletion = Deletion(
            subject,
            now,
            now + timedelta(seconds=self.deletion_delay),
            now + timedelta(days=RETENTION_DAYS),
        )
        self.remove(subject)
        self._deleted[name.lower()] = deletion
        return deletion

    def deleted(self) -> Mapping[str, Deletion[T]]:
        """The soft-deleted objects whose retention has not ended, by name in lower case."""
        now = self._clock.now()
        for name in [name for name, entry in self._deleted.items() if entry.purge_at <= now]:
            del self._deleted[name]
        return self._deleted

    def finished_deletions(self) -> list[Deletion[T]]:
        """The deleted objects that can be listed, read, recovered and purged."""
        now = self._clock.now()
        return [entry for entry in self.deleted().values() if entry.done_at <= now]

    def get_deleted(self, name: str) -> Deletion[T]:
        """The deleted object, or 404."""
        deletion = self.deleted().get(name.lower())
        if deletion is None or deletion.done_at > self._clock.now():
            raise deleted_not_found(self.kind, name)
        return deletion

    def recover(self, name: str) -> T:
        """Make the deleted object an object again."""
        subject = self.get_deleted(name).subject
        del self._deleted[name.lower()]
        return self.add(subject)

    def purge(self, name: str) -> None:
        """Forget the deleted object; 403 under purge protection."""
        self.get_deleted(name)
        if self.purge_protection:
            raise purge_protected()
        del self._deleted[name.lower()]


def checked_name(name: str) -> str:
    """The name, or 400."""
    if not _NAME.fullmatch(name):
        raise invalid_name(name)
    return name


def new_version() -> str:
    """A version id as Key Vault makes them: 32 hexadecimal digits."""
    return uuid4().hex


def seconds(moment: datetime) -> int:
    """Unix seconds."""
    return int(moment.timestamp())
