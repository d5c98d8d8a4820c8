"""The published flow, its epochs, and the credentials beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from storing import DB, KEYS, WEB, at, flow, send

from tocsin.flow.model import digest_of
from tocsin.store import DecryptionFailed, KeyRing, StaleEpoch, Store, alerts, credentials, revisions
from tocsin.store.credentials import GivenToken


async def test_publishing_and_loading(store: Store) -> None:
    """A revision is a number and a flow; unchanged flows keep their number, changed ones reuse what is the same."""
    assert await store.read(revisions.current) is None
    names = [f"i{n}" for n in range(20)]
    published = []
    for size in range(10, 21):
        made = flow(*names[:size])
        first = await store.write(lambda c, f=made: revisions.publish(c, f, 1))
        again = await store.write(lambda c, f=made: revisions.publish(c, f, 1))
        assert first == again == await store.read(revisions.current)
        published.append((first, made))
    assert [one.number for one, _ in published] == list(range(1, 12))
    for one, made in published:
        assert await store.read(lambda c, d=one.digest: revisions.load_flow(c, d)) == made
    count = await store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM fragment").scalar())
    assert count == 20
    back = flow(*names[:12])
    assert (await store.write(lambda c: revisions.publish(c, back, 1))).number == 12
    assert await store.read(lambda c: revisions.load_flow(c, back.digest)) == back
    unknown = digest_of(b"unknown")
    assert await store.read(lambda c: revisions.load_flow(c, unknown)) is None
    assert await store.read(lambda c: revisions.manifest(c, unknown)) is None


async def test_many_small_changes_make_no_endless_chain(store: Store) -> None:
    """Manifests are stored as differences, but every one can be read, and none needs more than a few others."""
    names = [f"i{n}" for n in range(30)]
    made = []
    for n in range(80):
        changed = flow(*names[: 20 + n % 10], title=str(n // 10))
        made.append(changed)
        await store.write(lambda c, f=changed: revisions.publish(c, f, 1))
    depth = await store.read(lambda c: c.exec_driver_sql("SELECT max(depth) FROM manifest").scalar())
    assert 0 < depth <= revisions.LONGEST_CHAIN
    for one in made:
        assert await store.read(lambda c, d=one.digest: revisions.manifest(c, d)) == one.manifest


async def test_an_old_leader_cannot_publish(store: Store) -> None:
    """A lower epoch is refused and changes nothing; so is one that does not know the newest revision."""
    await store.write(lambda c: revisions.publish(c, flow("a"), 3))
    with pytest.raises(StaleEpoch, match="epoch 3 has taken over from epoch 2"):
        await store.write(lambda c: revisions.publish(c, flow("b"), 2))
    with pytest.raises(StaleEpoch, match="revision 1 is published"):
        await store.write(lambda c: revisions.publish(c, flow("b"), 4, expected=0))
    assert (await store.read(revisions.current)).digest == flow("a").digest
    same = await store.write(lambda c: revisions.publish(c, flow("a"), 5, expected=1))
    assert (same.number, same.epoch) == (1, 5)
    with pytest.raises(StaleEpoch):
        await store.write(lambda c: revisions.publish(c, flow("b"), 4))


async def test_an_alert_remembers_the_flow_that_decided(store: Store) -> None:
    """By the manifest's digest; None if that flow was never published here."""
    made = flow("web")
    await store.write(lambda c: revisions.publish(c, made, 1))
    await send(store, manifest=made.digest)
    await send(store, manifest=digest_of(b"unknown"))
    unknown, known = (await store.read(alerts.list_alerts)).items
    assert (known.manifest, unknown.manifest) == (made.digest, None)


async def test_secrets(store: Store) -> None:
    """Encrypted at rest, replaced in place, deleted once nothing refers to them."""
    name, other = ("shop", "grafana", "password"), ("shop", "grafana", "user")
    await store.write(lambda c: credentials.put_secret(c, KEYS, name, ("d1", b"hunter2"), at(0)))
    await store.write(
        lambda c: credentials.put_secrets(c, KEYS, {name: ("d2", b"swordfish"), other: ("d3", b"")}, at(1))
    )
    assert await store.read(credentials.secret_digests) == {name: "d2", other: "d3"}
    assert await store.read(lambda c: credentials.load_secrets(c, KEYS)) == {name: b"swordfish", other: b""}
    assert await store.read(lambda c: credentials.load_secrets(c, KEYS, [other])) == {other: b""}
    raw = await store.read(lambda c: c.exec_driver_sql("SELECT ciphertext FROM credential").scalars().all())
    assert all(b"swordfish" not in bytes(one) for one in raw)
    assert await store.write(lambda c: credentials.delete_unreferenced(c, [name])) == 1
    assert set(await store.read(credentials.secret_digests)) == {name}


async def test_a_moved_ciphertext_does_not_decrypt(store: Store) -> None:
    """Who can write to the database cannot make one Integration's secret another's."""
    await store.write(lambda c: credentials.put_secret(c, KEYS, ("a", "b", "c"), ("d", b"secret"), at(0)))
    await store.write(lambda c: c.exec_driver_sql("UPDATE credential SET namespace = 'z'"))
    with pytest.raises(DecryptionFailed, match="belongs elsewhere"):
        await store.read(lambda c: credentials.load_secrets(c, KEYS))


async def test_keys_are_rotated(store: Store) -> None:
    """The first key encrypts, all decrypt; after re-encryption the old one can go."""
    old, new = b"o" * 32, b"n" * 32
    before, both, after = KeyRing((old,)), KeyRing((new, old)), KeyRing((new,))
    name = ("a", "b", "c")
    await store.write(lambda c: credentials.put_secret(c, before, name, ("d", b"secret"), at(0)))
    given = GivenToken(integration=WEB, token="token-of-twenty-chars")
    await store.write(lambda c: credentials.put_token(c, before, given, at(0)))
    assert await store.read(lambda c: credentials.load_secrets(c, both)) == {name: b"secret"}
    with pytest.raises(DecryptionFailed, match="TOCSIN_SECRET_KEY"):
        await store.read(lambda c: credentials.load_secrets(c, after))
    assert await store.write(lambda c: credentials.reencrypt(c, both)) == 2
    assert await store.write(lambda c: credentials.reencrypt(c, both)) == 0
    assert await store.read(lambda c: credentials.load_secrets(c, after)) == {name: b"secret"}
    assert await store.read(lambda c: credentials.reveal(c, after, WEB)) == given.token


async def test_tokens_rotate_with_an_overlap(store: Store) -> None:
    """The old one counts until its end, never longer than first promised; giving the same again changes nothing."""
    one, two, three = ("a" * 20, "b" * 20, "c" * 20)

    async def give(token: str, seconds: float, overlap: int = 60_000_000) -> None:
        given = GivenToken(integration=WEB, token=token, overlap=overlap)
        await store.write(lambda c: credentials.put_token(c, KEYS, given, at(seconds)))

    async def valid(seconds: float) -> set[bytes]:
        return {t.sha256 for t in await store.read(lambda c: credentials.tokens(c, now=at(seconds)))}

    await give(one, 0)
    await give(one, 5)
    assert await valid(1000) == {credentials.token_sha256(one)}
    await give(two, 100)
    await give(three, 130, overlap=10_000_000)
    assert await valid(139) == {credentials.token_sha256(token) for token in (one, two, three)}
    assert await valid(140) == {credentials.token_sha256(three)}
    assert await store.read(lambda c: credentials.reveal(c, KEYS, WEB)) == three
    assert await store.write(lambda c: credentials.remove_expired(c, at(200))) == 2
    assert len(await store.read(credentials.tokens)) == 1
    await give(two, 300)
    assert await store.read(lambda c: credentials.reveal(c, KEYS, WEB)) == two


async def test_a_deleted_integration_keeps_its_token_for_its_grace(store: Store) -> None:
    """Recreated meanwhile it gets the old token back; after the grace the URL is unknown."""
    given = GivenToken(integration=WEB, token="t" * 20)
    await store.write(lambda c: credentials.put_token(c, KEYS, given, at(0)))
    await store.write(lambda c: credentials.entomb(c, WEB, at(3600)))
    await store.write(lambda c: credentials.entomb(c, DB, at(3600)))
    (token,) = await store.read(lambda c: credentials.tokens(c, now=at(3599)))
    assert (token.integration, token.entombed_until) == (WEB, at(3600))
    assert await store.read(lambda c: credentials.tokens(c, now=at(3600))) == []
    assert await store.read(lambda c: credentials.reveal(c, KEYS, WEB)) == given.token
    await store.write(lambda c: credentials.put_token(c, KEYS, given, at(100)))
    (token,) = await store.read(lambda c: credentials.tokens(c, now=at(9999)))
    assert token.entombed_until is None
    await store.write(lambda c: credentials.entomb(c, WEB, at(3600)))
    assert await store.write(lambda c: credentials.remove_expired(c, at(3600))) == 1
    assert await store.read(lambda c: credentials.reveal(c, KEYS, WEB)) is None


def test_key_lists() -> None:
    """Commas or spaces, base64 or text; short keys are refused with their place and without their content."""
    ring = KeyRing.from_environment(f"{'n' * 40}, {'o' * 40}\n")
    assert KeyRing.from_environment("o" * 40).encrypt(b"x", "c") != ring.encrypt(b"x", "c")
    assert ring.decrypt(KeyRing.from_environment("o" * 40).encrypt(b"x", "c"), "c") == b"x"
    with pytest.raises(ValueError, match="key 2 has 5 bytes") as failed:
        KeyRing.from_environment(f"{'n' * 40} short")
    assert "short" not in str(failed.value)
    with pytest.raises(ValueError, match="set TOCSIN_SECRET_KEY"):
        KeyRing.from_environment(" ")
    with pytest.raises(DecryptionFailed):
        ring.decrypt(b"", "c")


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    """Mode 0600, the same key at the next start."""
    path = tmp_path / "key"
    first = KeyRing.from_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.from_file(path).decrypt(first.encrypt(b"x", "c"), "c") == b"x"
