"""Channels ready to send, kept until what was declared, or a secret in it, changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tocsin.api.common import Identity
from tocsin.flow.model import ChannelFragment, Digest, SecretKey
from tocsin.flow.program import Program
from tocsin.notify import factory
from tocsin.notify.channel import Channel, DeliveryFailed
from tocsin.notify.tools import Tools
from tocsin.store.credentials import SecretName

Values = Mapping[SecretName, str]
"""Secrets as read from the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One channel as of one revision. `digest` covers its secrets, whose keyed digests are part of the fragment.

    `channel` None: it cannot be used, `failure` says why.
    """

    fragment: ChannelFragment
    digest: Digest
    channel: Channel | None = field(default=None, repr=False)
    failure: DeliveryFailed | None = None

    @property
    def edits(self) -> bool:
        return self.channel is not None and self.channel.edits


class Channels:
    """By `namespace/name`. One that could not be built is built anew each time: its Secret may have come."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._ways: dict[str, Way] = {}

    def missing(self, program: Program, names: Iterable[str]) -> dict[str, ChannelFragment]:
        """Which of the declared channels `open` has to be called for."""
        wanted = {name: program.targets.channels.get(name) for name in names}
        return {
            name: fragment
            for name, fragment in wanted.items()
            if fragment is not None and not self._is_current(program, name)
        }

    def open(self, program: Program, fragments: Mapping[str, ChannelFragment], values: Values) -> None:
        """Builds these anew, and forgets what is not declared any more."""
        for name, fragment in fragments.items():
            self._ways[name] = self._build(program, name, fragment, values)
        for name in self._ways.keys() - program.targets.channels.keys():
            del self._ways[name]

    def get(self, program: Program, name: str) -> Way | None:
        """None if there is no such channel (any more)."""
        return self._ways.get(name) if name in program.targets.channels else None

    def changed(self, program: Program, name: str, way: Way) -> bool:
        """Whether the channel was declared anew, or one of its secrets replaced, since `way` was opened."""
        return name in program.targets.channels and digest_of(program, name) != way.digest

    def _is_current(self, program: Program, name: str) -> bool:
        way = self._ways.get(name)
        return way is not None and way.channel is not None and way.digest == digest_of(program, name)

    def _build(self, program: Program, name: str, fragment: ChannelFragment, values: Values) -> Way:
        digest = digest_of(program, name)
        secrets = {path: values.get(secret_name(key), "") for path, key in fragment.secrets.items()}
        try:
            channel = factory.build(fragment, secrets, self._tools)
        except DeliveryFailed as failure:
            return Way(fragment=fragment, digest=digest, failure=failure)
        return Way(fragment=fragment, digest=digest, channel=channel)


def digest_of(program: Program, name: str) -> Digest:
    namespace, _, own = name.partition("/")
    return program.manifest[Identity("NotificationChannel", namespace, own)]


def secret_name(key: SecretKey) -> SecretName:
    return (key.namespace, key.name, key.key)
