"""Which addresses outgoing requests may reach: the public internet, and what the operator of this process allows.

Judged is the address that a socket is about to be connected to, never a name or a spelling of it: what DNS answers
to somebody else, or answered a moment ago, is of no interest, and decimal or octal spellings are addresses by then.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As `socket.getaddrinfo` returns them: family, type, protocol, canonical name, socket address."""

_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared with the provider"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "the cloud's own"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarks"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),
        ("100::/64", "discard"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "reserved"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
_LOW_32 = (ip_network("::ffff:0:0/96"), ip_network("::/96"), ip_network("64:ff9b::/96"))
"""IPv4-mapped, IPv4-compatible, NAT64: the last 32 bits are an IPv4 address."""
_6TO4 = ip_network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)


REFUSAL = "requests may not go there"
"""How the reason of a refusal begins, also where aiohttp gathers several into one error."""


class AddressRefused(OSError):
    """An address that requests may not go to; an OSError, as other connections that fail are."""


class Guard:
    """Public addresses are allowed; others only if the operator names their host or network."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """`allowed`: addresses, networks (`10.20.0.0/16`) and host names (`hooks.example.internal`).

        A host name stands for whatever it resolves to. Raises ValueError that names the entry.
        """
        networks: list[Network] = []
        hosts: set[str] = set()
        for entry in allowed:
            network, host = _parsed(entry)
            if network is not None:
                networks.append(network)
            else:
                hosts.add(host)
        self._networks = tuple(networks)
        self._hosts = frozenset(hosts)

    def trusts(self, host: str) -> bool:
        """Whether the operator allows this host by name, wherever it leads."""
        return host.lower().rstrip(".") in self._hosts

    def names(self, host: str) -> bool:
        """Whether the operator wrote this host down, by name or as an address of a network."""
        try:
            address = ip_address(host)
        except ValueError:
            return self.trusts(host)
        return any(address in network for network in self._networks)

    def refusal(self, address: str) -> str:
        """Why nothing may be sent to this address, in words; "" if it may."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return f"{address[:64]!r} is no address"
        for one in (parsed, *_embedded(parsed)):
            if any(one in network for network in self._networks):
                continue
            for network, reason in _REFUSED:
                if one in network:
                    within = "" if one == parsed else f" ({one} within)"
                    return f"{parsed}{within} is {reason}"
        return ""

    def socket(self, info: AddressInfo) -> socket.socket:
        """A socket for connecting to this address. Raises AddressRefused instead of making one."""
        family, kind, protocol, _, address = info
        reason = self.refusal(str(address[0]))
        if reason:
            raise AddressRefused(f"{REFUSAL}: {reason}")
        return socket.socket(family=family, type=kind, proto=protocol)


class Hosts:
    """A list of hosts: names (with a dot in front: and everything below), addresses and networks."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        """Raises ValueError that names the entry."""
        given = [entry.strip() for entry in entries]
        self._below = tuple(entry.lower().rstrip(".") for entry in given if entry.startswith("."))
        self._named = Guard(entry.lstrip(".") for entry in given)

    def covers(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return self._named.names(name) or name.endswith(self._below)


def _embedded(address: Address) -> Iterator[Address]:
    """IPv4 addresses that packets to this IPv6 address may end up at."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if any(address in network for network in _LOW_32) and bits > 1:
        yield IPv4Address(bits & 0xFFFFFFFF)
    if address in _6TO4:
        yield IPv4Address(bits >> 80 & 0xFFFFFFFF)
    if bits >> 32 & 0xFFFFFFFF in _ISATAP:
        yield IPv4Address(bits & 0xFFFFFFFF)


def _parsed(entry: str) -> tuple[Network | None, str]:
    text = entry.strip()
    try:
        return ip_network(text, strict=False), ""
    except ValueError:
        host = text.lower().rstrip(".")
        labels = host.split(".")
        if not host or any(
            not label or not label.replace("-", "").replace("_", "").isalnum() for label in labels
        ):
            raise ValueError(f"{entry!r} is no host name, address or network (write 10.20.0.0/16)") from None
        if labels[-1].isdigit() or labels[-1].startswith("0x"):
            raise ValueError(f"{entry!r} is no address: write four decimal numbers") from None
        return None, host
