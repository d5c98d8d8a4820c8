"""Types and reasons of conditions and findings. They are part of the API: people and scripts compare them.

`Accepted`, `ResolvedRefs`, `Programmed` and `Ready` are always there; the other types only while they are true.
"""

from __future__ import annotations

from enum import StrEnum

MAX_FINDINGS = 100
"""How many findings a status may hold, as in the CRDs."""
MAX_FINDING_MESSAGE = 4096
MAX_CONDITION_MESSAGE = 32_768


class ConditionType(StrEnum):
    ACCEPTED = "Accepted"
    """The object is valid and has an effect (or would have one, were it not suspended)."""
    RESOLVED_REFS = "ResolvedRefs"
    """Everything that the object refers to exists and admits it."""
    PROGRAMMED = "Programmed"
    """All live replicas of the roles that use the kind have acknowledged a revision with this generation."""
    READY = "Ready"
    """The three above are true and nothing of the object is invalid; what kubectl wait, Flux and Argo CD read."""
    PARTIALLY_INVALID = "PartiallyInvalid"
    """A part of the object is invalid and counts as failing; the rest works."""
    SHADOWED = "Shadowed"
    """The route can never win, because routes before it take every alert that it matches."""
    TEMPLATE_ERRORS = "TemplateErrors"
    """Templates of the object failed on alerts lately; the defaults were used."""
    RATE_LIMITED = "RateLimited"
    """More alerts came than `spec.rateLimit` keeps in full."""
    DELIVERY_FAILING = "DeliveryFailing"
    """What the object sends does not arrive."""
    CALENDAR_FAILING = "CalendarFailing"
    """The calendar of a schedule cannot be fetched or read; its last good version is used for a week."""


ALWAYS = (
    ConditionType.ACCEPTED,
    ConditionType.RESOLVED_REFS,
    ConditionType.PROGRAMMED,
    ConditionType.READY,
)
"""The conditions that every object has, in this order."""


class Reason(StrEnum):
    """Reasons of conditions. `Ready` gives its own when true, else that of the condition that keeps it false."""

    # Accepted
    ACCEPTED = "Accepted"
    """The object is valid."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is set: the object is valid, and treated as if it were absent."""
    INVALID = "Invalid"
    """The object breaks its schema or a rule of it, and has no effect; the findings name the fields."""
    UNKNOWN_TYPE = "UnknownType"
    """`spec.type` of an Integration names no integration type."""
    INVALID_SCHEDULE = "InvalidSchedule"
    """A schedule cannot be read, for example a date that does not exist. A window has no effect then (Accepted); a
    layer, an override or a calendar is left out of its OnCallSchedule (PartiallyInvalid)."""
    NEVER_OPENS = "NeverOpens"
    """The schedule of a window has no occurrence."""
    CONFLICTED = "Conflicted"
    """Another object has what this one claims."""

    # ResolvedRefs
    RESOLVED_REFS = "ResolvedRefs"
    """Everything that the object refers to exists and admits it."""
    REF_NOT_FOUND = "RefNotFound"
    """A referenced object, Secret, ConfigMap or key does not exist."""
    REF_NOT_PERMITTED = "RefNotPermitted"
    """A referenced object of another namespace does not admit this one; says nothing about whether it exists."""
    SELECTOR_MATCHES_NOTHING = "SelectorMatchesNothing"
    """A selector selects no Integration."""
    REF_NOT_ACCEPTED = "RefNotAccepted"
    """A referenced object exists, but is not accepted and so has no effect."""
    REF_UNSUITABLE = "RefUnsuitable"
    """A referenced NotificationChannel exists, but cannot do what is asked of it here: it is no place to publish to, needs
    an address, or falls back to itself."""
    ROUTE_NOT_ATTACHED = "RouteNotAttached"
    """`spec.heartbeat.routeRef` names a route that is not attached to the Integration."""

    # Programmed
    PROGRAMMED = "Programmed"
    """Every live replica has loaded this generation."""
    PENDING = "Pending"
    """Published, and not yet acknowledged by every live replica."""
    NO_RECEIVERS = "NoReceivers"
    """No replica of a role that uses the kind is alive."""
    NOT_ACCEPTED = "NotAccepted"
    """There is nothing to program, because the object is not accepted."""

    # Ready
    READY = "Ready"
    """Accepted, ResolvedRefs and Programmed are True, and nothing of the object is invalid."""

    # PartiallyInvalid
    INVALID_TEMPLATE = "InvalidTemplate"
    """A template cannot be compiled; it counts as one that always fails."""
    INVALID_REGEX = "InvalidRegex"
    """A regular expression is not one of RE2; it never matches."""
    INVALID_PATH = "InvalidPath"
    """An entry of `spec.redact` is no path."""
    INVALID_VALUE = "InvalidValue"
    """A value cannot work; what it belongs to counts as not set."""
    INVALID_TOKEN = "InvalidToken"
    """The token for the URL is too short, or another Integration's; it is not used."""

    # conditions that are there only while true
    SHADOWED = "Shadowed"
    """Routes before this one take every alert that it matches (condition Shadowed)."""
    RENDERING_FAILED = "RenderingFailed"
    """A template of the object failed on an alert (condition TemplateErrors); the trace of the alert says why."""
    LIMIT_EXCEEDED = "LimitExceeded"
    """More alerts came than `spec.rateLimit` keeps in full (condition RateLimited)."""
    DELIVERY_FAILED = "DeliveryFailed"
    """The last messages or requests did not arrive (condition DeliveryFailing); `status.lastError` says why."""
    FETCH_FAILED = "FetchFailed"
    """The calendar of an OnCallSchedule cannot be fetched or read; the last good one is used."""


REFERENCE_REASONS = frozenset(
    {
        Reason.REF_NOT_FOUND,
        Reason.REF_NOT_PERMITTED,
        Reason.REF_NOT_ACCEPTED,
        Reason.REF_UNSUITABLE,
        Reason.ROUTE_NOT_ATTACHED,
        Reason.SELECTOR_MATCHES_NOTHING,
    }
)
"""Reasons of errors that make ResolvedRefs False; errors of any other reason make PartiallyInvalid True."""


class Hint(StrEnum):
    """Reasons of warnings: the object works, but probably not as its author thinks."""

    DUPLICATE_ROUTE = "DuplicateRoute"
    """An earlier route of the Integration asks for exactly the same."""
    NEVER_MATCHES = "NeverMatches"
    """The conditions of a route exclude each other, or are never true."""
    NEVER_OPENS = "NeverOpens"
    """A window has no occurrence ahead within two years."""
    UNUSED_EXCEPTION = "UnusedException"
    """The recurrence has no occurrence on the date of an exception."""
    DUPLICATE_REF = "DuplicateRef"
    """The same object is referred to twice; once is enough."""
    DUPLICATE_LABEL = "DuplicateLabel"
    """A label is given twice; the later one wins."""
    DUPLICATE_SLOT = "DuplicateSlot"
    """A template is given twice for one place; one of them has no effect."""
    REF_SUSPENDED = "RefSuspended"
    """A referenced object is suspended and has no effect."""
    CONSTANT_GROUPING = "ConstantGrouping"
    """The grouping id is the same for every alert."""
    TEMPLATE_NOTE = "TemplateNote"
    """A template parses, but probably does not do what it looks like."""
    TEMPLATE_FAILS = "TemplateFails"
    """A template that the object takes from elsewhere is invalid and always fails."""
    UNKNOWN_TEAM = "UnknownTeam"
    """`spec.team` names a team that no Responder of the namespace is in."""
    NO_CONTACTS = "NoContacts"
    """A Responder has no contact, so it is never told anything."""
    ON_CALL_GAP = "OnCallGap"
    """A schedule has nobody on call at some time within the next two weeks."""
    UNREACHABLE_STEP = "UnreachableStep"
    """A step stands after one that ends the escalation."""
    REPEATS_WITHOUT_WAIT = "RepeatsWithoutWait"
    """A chain repeats its steps without a wait among them."""


class Problem(StrEnum):
    """Reasons of the findings of the loader and of `check`: what is wrong with a field or a file."""

    # of a file
    SYNTAX_ERROR = "SyntaxError"
    """The file is no YAML."""
    DUPLICATE_KEY = "DuplicateKey"
    """A key stands twice in one mapping."""
    TOO_LARGE = "TooLarge"
    """The file is larger than Tocsin reads."""
    TOO_DEEP = "TooDeep"
    """Mappings and lists are nested too deeply."""
    TOO_MANY_ALIASES = "TooManyAliases"
    """Aliases of YAML make the document too large."""
    NOT_AN_OBJECT = "NotAnObject"
    """A document is no Kubernetes object."""

    # of an object
    UNKNOWN_KIND = "UnknownKind"
    """`kind` is none of Tocsin's."""
    UNKNOWN_VERSION = "UnknownVersion"
    """`apiVersion` is none that Tocsin knows."""
    INVALID_NAME = "InvalidName"
    """The name or namespace is none that Kubernetes takes."""

    # of a field
    UNKNOWN_FIELD = "UnknownField"
    """There is no such field; probably it is misspelt or stands in the wrong place."""
    REQUIRED = "Required"
    """A field is missing that must be there."""
    WRONG_TYPE = "WrongType"
    """For example a number where a text is needed."""
    NOT_SUPPORTED = "NotSupported"
    """Not one of the allowed values."""
    INVALID_VALUE = "InvalidValue"
    """Breaks a pattern, a bound or a rule."""
    TOO_SHORT = "TooShort"
    """A text has fewer characters than it must have."""
    TOO_LONG = "TooLong"
    """A text has more characters than it may have."""
    TOO_FEW = "TooFew"
    """A list has fewer entries than it must have."""
    TOO_MANY = "TooMany"
    """A list or map has more entries than it may have."""
    DUPLICATE = "Duplicate"
    """Twice in a list that is a set, or twice the same key in a list of named entries."""
