"""Condition types and reasons: the words that statuses, findings, tests and documentation share.

A finding of severity Error makes one of the conditions false or true: reasons of `REFERENCE_REASONS` make
`ResolvedRefs` False, all others make `PartiallyInvalid` True; on an object that is not accepted they say why.
Warnings change no condition but the one that is named after them (`Shadowed`).
"""

from __future__ import annotations

ACCEPTED = "Accepted"
RESOLVED_REFS = "ResolvedRefs"
PROGRAMMED = "Programmed"
READY = "Ready"
"""True when Accepted, ResolvedRefs and Programmed are, and the object is not partially invalid."""

# Present only while true.
PARTIALLY_INVALID = "PartiallyInvalid"
SHADOWED = "Shadowed"
TEMPLATE_ERRORS = "TemplateErrors"
RATE_LIMITED = "RateLimited"
DELIVERY_FAILING = "DeliveryFailing"

# Accepted
INVALID = "Invalid"
"""The object breaks its schema: it has no effect at all."""
SUSPENDED = "Suspended"
"""`spec.suspend` is set: as if the object were absent; an Integration answers into the dead letters."""
UNKNOWN_TYPE = "UnknownType"
INVALID_SCHEDULE = "InvalidSchedule"
UNKNOWN_TIME_ZONE = "UnknownTimeZone"
EMPTY_MATCH = "EmptyMatch"

# ResolvedRefs
REF_NOT_PERMITTED = "RefNotPermitted"
"""The target is in another namespace and is missing or does not admit this one: which of the two is not said."""
REF_NOT_FOUND = "RefNotFound"
REF_NOT_ACCEPTED = "RefNotAccepted"
"""The target exists, but is not accepted and so has no effect."""
KEY_NOT_FOUND = "KeyNotFound"
"""A Secret or ConfigMap, or the key in it, is missing."""
ROUTE_NOT_ATTACHED = "RouteNotAttached"

REFERENCE_REASONS = frozenset(
    {REF_NOT_PERMITTED, REF_NOT_FOUND, REF_NOT_ACCEPTED, KEY_NOT_FOUND, ROUTE_NOT_ATTACHED}
)

# PartiallyInvalid
INVALID_TEMPLATE = "InvalidTemplate"
INVALID_REGEX = "InvalidRegex"
INVALID_DELIMITERS = "InvalidDelimiters"
INVALID_PATH = "InvalidPath"
INVALID_DURATION = "InvalidDuration"
INVALID_AUTH = "InvalidAuth"
UNSUPPORTED_HEARTBEAT = "UnsupportedHeartbeat"
TOKEN_CONFLICT = "TokenConflict"

# Programmed
PENDING = "Pending"
"""Published or about to be; not all running receivers have loaded it yet."""
NO_RECEIVERS = "NoReceivers"

# Warnings
DUPLICATE_ROUTE = "DuplicateRoute"
NEVER_MATCHES = "NeverMatches"
NEVER_OPENS = "NeverOpens"
UNUSED_EXCEPTION = "UnusedException"
NO_INTEGRATIONS = "NoIntegrations"
DUPLICATE_REF = "DuplicateRef"
DUPLICATE_LABEL = "DuplicateLabel"
DUPLICATE_SLOT = "DuplicateSlot"
REF_SUSPENDED = "RefSuspended"
CONSTANT_GROUPING = "ConstantGrouping"
TEMPLATE_NOTE = "TemplateNote"
NO_EFFECT = "NoEffect"
