"""Shapes shared by all kinds: metadata, references, selectors, matchers, templates, conditions.

Every type mirrors a part of the CRDs in `crds/` field for field; a property test keeps the two equal. Field
documentation lives in the CRDs (`kubectl explain`), the single source of the schema.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NamedTuple

import msgspec

API_GROUP = "tocsin.dev"
API_VERSION = "tocsin.dev/v1alpha1"
DEFAULT_NAMESPACE = "default"

# `\Z`, because Python's `$` also stands before a last line break, which the API server does not take.
Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")
]
Namespace = Annotated[
    str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
]
LabelKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
LabelValue = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Template = Annotated[str, msgspec.Meta(max_length=50_000)]
Duration = Annotated[str, msgspec.Meta(max_length=32, pattern=r"^([0-9]{1,4}d|[0-9]{1,6}[hms])+\Z")]


class Spec(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Base of everything that users write: immutable, camelCase in YAML, unknown fields refused."""


class Identity(NamedTuple):
    """What an object is for ever: recreating `kind/namespace/name` continues it, renaming does not."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Identity:
        """The inverse of `str()`. Raises ValueError on anything else."""
        kind, namespace, name = text.split("/")
        return cls(kind, namespace, name)


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The part of Kubernetes' ObjectMeta that Tocsin reads; all else is ignored."""

    name: str
    namespace: str = DEFAULT_NAMESPACE
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    generation: int = 0
    uid: str = ""


class LocalRef(Spec, frozen=True, kw_only=True):
    """A reference inside the object's own namespace."""

    name: Name


class ObjectRef(Spec, frozen=True, kw_only=True):
    """A reference that may cross namespaces where the target's `spec.sharing` admits it."""

    name: Name
    namespace: Namespace | None = None


class KeyRef(Spec, frozen=True, kw_only=True):
    """One key of a Secret or ConfigMap in the object's own namespace."""

    name: Name
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+\Z")]


class SelectorRequirement(Spec, frozen=True, kw_only=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=317)]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=63)], ...], msgspec.Meta(max_length=64)
    ] = ()


class Selector(Spec, frozen=True, kw_only=True):
    """A Kubernetes label selector over `metadata.labels`. An empty one selects everything."""

    match_labels: Annotated[
        dict[Annotated[str, msgspec.Meta(max_length=317)], Annotated[str, msgspec.Meta(max_length=63)]],
        msgspec.Meta(max_length=64),
    ] = {}
    match_expressions: Annotated[tuple[SelectorRequirement, ...], msgspec.Meta(max_length=64)] = ()


class SharingFrom(StrEnum):
    SAME = "Same"
    ALL = "All"
    SELECTOR = "Selector"


class SharedNamespaces(Spec, frozen=True, kw_only=True):
    """Which namespaces may refer to this object. `Selector` matches the labels of the Namespace object."""

    from_: SharingFrom = msgspec.field(name="from", default=SharingFrom.SAME)
    selector: Selector | None = None


class Sharing(Spec, frozen=True, kw_only=True):
    namespaces: SharedNamespaces = SharedNamespaces()


class Matcher(Spec, frozen=True, kw_only=True):
    """One condition on a label of the alert. A missing label has the empty value, as in Alertmanager."""

    key: LabelKey
    operator: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, msgspec.Meta(max_length=1024)]


class RichAppearance(Spec, frozen=True, kw_only=True):
    """Title, message and image of one channel; an empty string counts as not set (alert-flow R-TPL-3)."""

    title: Template = ""
    message: Template = ""
    image_url: Template = ""


class TextAppearance(Spec, frozen=True, kw_only=True):
    title: Template = ""
    message: Template = ""


class TitleAppearance(Spec, frozen=True, kw_only=True):
    title: Template = ""


class Appearance(Spec, frozen=True, kw_only=True):
    web: RichAppearance = RichAppearance()
    slack: RichAppearance = RichAppearance()
    telegram: RichAppearance = RichAppearance()
    msteams: RichAppearance = RichAppearance()
    mattermost: RichAppearance = RichAppearance()
    discord: RichAppearance = RichAppearance()
    email: TextAppearance = TextAppearance()
    push: TextAppearance = TextAppearance()
    sms: TitleAppearance = TitleAppearance()
    phone: TitleAppearance = TitleAppearance()


class Templates(Spec, frozen=True, kw_only=True):
    """Behaviour and appearance templates; an empty string counts as not set."""

    grouping_id: Template = ""
    acknowledge: Template = ""
    resolve: Template = ""
    source_link: Template = ""
    appearance: Appearance = Appearance()


TEMPLATE_SLOTS: tuple[str, ...] = (
    "groupingId",
    "acknowledge",
    "resolve",
    "sourceLink",
    *(
        f"appearance.{c}.{f}"
        for c in ("web", "slack", "telegram", "msteams", "mattermost", "discord")
        for f in ("title", "message", "imageUrl")
    ),
    *(f"appearance.{c}.{f}" for c in ("email", "push") for f in ("title", "message")),
    "appearance.sms.title",
    "appearance.phone.title",
)
"""Every place that a template can fill, as dotted path inside `Templates` (the enum of `templatesFrom[].slot`)."""

Slot = Annotated[
    str, msgspec.Meta(max_length=64, pattern="^(" + "|".join(TEMPLATE_SLOTS).replace(".", r"\.") + r")\Z")
]


class TemplateFrom(Spec, frozen=True, kw_only=True):
    """The text of one slot, read from a ConfigMap of the object's own namespace."""

    slot: Slot
    config_map_key_ref: KeyRef


Delimiters = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=2, max_length=4)], ...],
    msgspec.Meta(min_length=2, max_length=2),
]


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """metav1.Condition. `last_transition_time` is RFC 3339 and changes only when `status` does."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: str = ""


class Severity(StrEnum):
    ERROR = "Error"
    """Part or all of the object has no effect."""
    WARNING = "Warning"
    """The object works, but probably not as its author thinks."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """A user's mistake as data: where, what, and what to do about it.

    `field` is a dotted path such as `spec.match.template` or `spec.static[2].key`; "" means the object.
    `line` and `column` are 1-based positions inside the template or the file, where known. `file` only for folders.
    """

    field: str
    reason: str
    message: str
    severity: Severity = Severity.ERROR
    line: int | None = None
    column: int | None = None
    file: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The part of status that every kind has."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    findings: tuple[Finding, ...] = ()
