"""Publishing: flow, tokens and credentials arrive in the store together, and tokens live as long as they are promised."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tocsin.api.common import Identity
from tocsin.control.folder import Folder
from tocsin.control.publisher import Publisher
from tocsin.control.vault import DELETED_GRACE
from tocsin.sources import load_types
from tocsin.store import credentials, revisions
from tocsin.store.database import Store
from tocsin.store.keys import KeyRing

WEB = Identity("Integration", "default", "web")
INTEGRATION = "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: web}\nspec: %s\n"
SECRET = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: token}\nstringData: {token: %s}\n"
BY_SECRET = (
    INTEGRATION % "{type: webhook, auth: {tokenSecretRef: {name: token, key: token}, rotationOverlap: 1h}}"
)


class Published:
    """A folder with one file, published to a real store after each change."""

    def __init__(self, store: Store, root: Path) -> None:
        self.store = store
        self.path = root / "flow.yaml"
        self.path.write_text("")
        self.folder = Folder((root,), digest=store.keys.digest, last_good={})
        self.publisher = Publisher(store, load_types())

    async def publish(self, text: str) -> revisions.Revision:
        self.path.unlink()
        self.path.write_text(text)
        return await self.publisher.publish(self.folder.read())

    async def token(self) -> str | None:
        return await self.store.read(lambda c: credentials.reveal(c, self.store.keys, WEB))

    async def tokens(self) -> list[credentials.EndpointToken]:
        return await self.store.read(credentials.tokens)


@pytest.fixture
async def published(tmp_path: Path) -> AsyncIterator[Published]:
    store = await Store.open(f"sqlite:///{tmp_path}/t.db", keys=KeyRing.from_file(tmp_path / "key"))
    (tmp_path / "manifests").mkdir()
    yield Published(store, tmp_path / "manifests")
    await store.close()


async def test_a_token_is_made_once_and_kept(published: Published) -> None:
    """25 letters and digits, the same after every change of the object."""
    await published.publish(INTEGRATION % "{type: webhook}")
    token = await published.token()
    assert token is not None
    assert len(token) == 25
    assert token.isalnum()
    await published.publish(INTEGRATION % "{type: webhook, title: New}")
    assert await published.token() == token


async def test_an_unchanged_folder_publishes_no_new_revision(published: Published) -> None:
    first = await published.publish(INTEGRATION % "{type: webhook}")
    assert (await published.publish(INTEGRATION % "{type: webhook} # a comment")).number == first.number


async def test_a_deleted_integration_is_entombed_and_recreating_it_brings_its_token_back(
    published: Published,
) -> None:
    await published.publish(INTEGRATION % "{type: webhook}")
    token = await published.token()
    await published.publish("")
    (dead,) = await published.tokens()
    assert dead.entombed_until is not None
    assert dead.entombed_until - dead.created_at >= DELETED_GRACE
    await published.publish(INTEGRATION % "{type: webhook}")
    assert await published.token() == token
    (alive,) = await published.tokens()
    assert alive.entombed_until is None


async def test_a_given_token_is_used_and_its_rotation_overlaps(published: Published) -> None:
    await published.publish(BY_SECRET + SECRET % ("a" * 25))
    assert await published.token() == "a" * 25
    await published.publish(BY_SECRET + SECRET % ("b" * 25))
    old, new = await published.tokens()
    assert new.sha256 == credentials.token_sha256("b" * 25)
    assert old.valid_until is not None
    assert new.valid_until is None
    assert 3_500_000_000 < old.valid_until - new.created_at <= 3_600_000_000


async def test_a_short_or_foreign_token_is_refused_with_its_place(published: Published) -> None:
    """The Integration keeps working with what it had; the finding names file and field, never the token."""
    await published.publish(BY_SECRET + SECRET % ("a" * 25))
    await published.publish(BY_SECRET + SECRET % "tooshorttoken")
    assert await published.token() == "a" * 25
    (finding,) = published.publisher.findings
    assert (finding.field, finding.file) == ("spec.auth.tokenSecretRef", str(published.path))
    assert "tooshort" not in str(finding)
    other = BY_SECRET.replace("name: web", "name: zeb")
    await published.publish(BY_SECRET + "---\n" + other + SECRET % ("c" * 25))
    (finding,) = (f for f in published.publisher.findings if f.reason == "InvalidToken")
    assert "Integration/default/web" in finding.message


async def test_secrets_are_stored_encrypted_and_go_with_their_last_reference(published: Published) -> None:
    bearer = (
        INTEGRATION % "{type: webhook, auth: {mode: Bearer, bearer: {secretRef: {name: token, key: token}}}}"
    )
    await published.publish(bearer + SECRET % ("hush" * 8))
    values = await published.store.read(lambda c: credentials.load_secrets(c, published.store.keys))
    assert values == {("default", "token", "token"): b"hush" * 8}
    database = published.path.parent.parent / "t.db"
    assert b"hushhush" not in database.read_bytes() + database.with_name("t.db-wal").read_bytes()
    await published.publish(INTEGRATION % "{type: webhook}")
    assert await published.store.read(credentials.secret_digests) == {}


async def test_a_changed_secret_alone_is_a_new_revision(published: Published) -> None:
    bearer = (
        INTEGRATION % "{type: webhook, auth: {mode: Bearer, bearer: {secretRef: {name: token, key: token}}}}"
    )
    first = await published.publish(bearer + SECRET % ("hush" * 8))
    second = await published.publish(bearer + SECRET % ("shhh" * 8))
    assert second.number == first.number + 1


async def test_credentials_of_channels_and_people_go_with_their_last_reference(published: Published) -> None:
    """Everything that a dispatcher needs for a request or a message, and nothing longer than it is needed."""
    header = "---\napiVersion: tocsin.dev/v1alpha1\nkind: %s\nmetadata: {name: x}\nspec: %s\n"
    channel = header % ("NotificationChannel", "{discord: {urlSecretRef: {name: token, key: token}}}")
    person = header % (
        "Responder",
        "{contacts: [{name: a, channelRef: {name: x}, addressSecretRef: {name: more, key: address}}]}",
    )
    more = (
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: more}\nstringData: {address: '1', unused: '2'}\n"
    )
    await published.publish(channel + person + SECRET % "hush" + more)
    assert published.publisher.findings == ()
    values = await published.store.read(lambda c: credentials.load_secrets(c, published.store.keys))
    assert values == {("default", "token", "token"): b"hush", ("default", "more", "address"): b"1"}
    await published.publish(person + SECRET % "hush" + more)
    assert set(await published.store.read(credentials.secret_digests)) == {("default", "more", "address")}
    await published.publish(SECRET % "hush" + more)
    assert await published.store.read(credentials.secret_digests) == {}
