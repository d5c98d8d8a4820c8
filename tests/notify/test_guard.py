"""Which addresses requests may go to, in every spelling."""

from __future__ import annotations

import socket

import pytest

from tocsin.notify.guard import AddressRefused, Guard

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2a00:1450:4001::5efe:192.168.0.1",
    "fe80::200:5efe:10.0.0.1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "3fff::1",
    "100::1",
]
ALLOWED = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "172.15.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    """Private, loopback, link-local and all other special networks, also inside IPv6 addresses that lead to IPv4."""
    assert Guard().refusal(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses_are_allowed(address: str) -> None:
    """Neighbours of refused networks, and IPv6 addresses that lead to public IPv4, are as public as any."""
    assert Guard().refusal(address) == ""


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "example.com"])
def test_what_is_no_address_is_never_connected_to(text: str) -> None:
    """The guard sees what a socket gets; a name or a legacy spelling there would be resolved behind its back."""
    assert Guard().refusal(text)


def test_the_operator_allows_networks_and_addresses() -> None:
    """Only what is named: neighbours stay refused. An IPv6 spelling of an allowed IPv4 address is that address."""
    guard = Guard(["10.20.0.0/16", "192.168.7.9", "fd00:1::/32"])
    for address in ("10.20.0.1", "::ffff:10.20.0.1", "64:ff9b::a14:1", "192.168.7.9", "fd00:1::5"):
        assert guard.refusal(address) == "", address
    for address in ("10.21.0.1", "::ffff:10.21.0.1", "192.168.7.8", "fd00:2::5", "127.0.0.1"):
        assert guard.refusal(address), address


def test_the_operator_allows_hosts_by_name() -> None:
    """Exactly that name, in any case, with or without the final dot; not what is below or beside it."""
    guard = Guard(["Hooks.Internal.Example"])
    assert guard.trusts("hooks.internal.example")
    assert guard.trusts("HOOKS.internal.example.")
    for host in ("x.hooks.internal.example", "internal.example", "hooks.internal.example.evil.example", ""):
        assert not guard.trusts(host)


@pytest.mark.parametrize(
    "entry", ["", " ", "10.0.0.0/33", "https://x.example", "a b", "*.example.com", "127.1", "x..y"]
)
def test_entries_that_mean_nothing_are_refused_by_name(entry: str) -> None:
    """A typing error in the list is said at the start, not found out by a request that goes nowhere."""
    with pytest.raises(ValueError, match="is no"):
        Guard([entry])


def test_no_socket_is_made_for_a_refused_address() -> None:
    """The reason names the address, and what it leads to where that is another one."""
    info = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:127.0.0.1", 80, 0, 0))
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 within"):
        Guard().socket(info)
    with Guard(["127.0.0.0/8"]).socket(info) as made:
        assert made.family == socket.AF_INET6
