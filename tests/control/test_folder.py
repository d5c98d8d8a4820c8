"""A folder of manifests: what is read, what is noticed, what stays in force when a file breaks."""

from __future__ import annotations

from pathlib import Path

from tocsin.api.common import Identity
from tocsin.control.folder import Contents, Folder
from tocsin.control.verdict import placed_findings
from tocsin.flow.compiler import compile_flow
from tocsin.flow.model import Micros
from tocsin.sources import load_types

WEB = "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: web}\nspec: {type: webhook}\n"
IDENTITY = Identity("Integration", "default", "web")


def folder(root: Path, last_good: dict[str, str] | None = None) -> Folder:
    return Folder((root,), digest=lambda value: f"digest of {len(value)}", last_good=last_good or {})


def messages(contents: Contents) -> list[str]:
    return [finding.message for finding in contents.findings]


def test_reads_manifests_recursively_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    """YAML and JSON below the folder count; hidden entries, payloads and foreign kinds do not."""
    (tmp_path / "a.yaml").write_text(WEB)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/b.yml").write_text(WEB.replace("web}", "sub}"))
    (tmp_path / "c.json").write_text(
        '{"apiVersion":"tocsin.dev/v1alpha1","kind":"Integration","metadata":{"name":"json"},"spec":{"type":"webhook"}}'
    )
    (tmp_path / ".hidden.yaml").write_text("kind: [")
    (tmp_path / "payloads").mkdir()
    (tmp_path / "payloads/x.json").write_text("[1")
    (tmp_path / "deployment.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n")
    (tmp_path / "notes.txt").write_text("kind: [")
    contents = folder(tmp_path).read()
    assert sorted(identity.name for identity in contents.inventory.integrations) == ["json", "sub", "web"]
    assert messages(contents) == []


def test_notices_every_kind_of_change(tmp_path: Path) -> None:
    """Rewriting, adding, removing and swapping a symlink (as ConfigMap mounts do) are changes; looking is none."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one/a.yaml").write_text(WEB)
    (tmp_path / "two/a.yaml").write_text(WEB.replace("web}", "new}"))
    mounted = tmp_path / "mounted"
    mounted.symlink_to(tmp_path / "one")
    source = Folder((mounted,), digest=lambda _: "", last_good={})
    assert source.changed()
    assert IDENTITY in source.read().inventory.integrations
    assert not source.changed()
    swapped = tmp_path / "swapped"
    swapped.symlink_to(tmp_path / "two")
    swapped.replace(mounted)
    assert source.changed()
    assert [i.name for i in source.read().inventory.integrations] == ["new"]
    (mounted / "b.yaml").write_text(WEB)
    assert source.changed()
    assert len(source.read().inventory.integrations) == 2
    (mounted / "b.yaml").unlink()
    assert len(source.read().inventory.integrations) == 1


def test_a_file_that_breaks_keeps_its_last_good_version_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(WEB)
    source = folder(tmp_path)
    assert source.read().good == {str(path): WEB}
    path.write_text(WEB + "---\nkind: [unclosed\n")
    contents = source.read()
    assert IDENTITY in contents.inventory.integrations
    assert contents.good == {}
    assert "last good version" in messages(contents)[0]
    assert (contents.findings[0].file, contents.findings[0].line) == (str(path), 7)
    path.write_text(WEB.replace("web}", "mended}"))
    contents = source.read()
    assert [i.name for i in contents.inventory.integrations] == ["mended"]
    assert messages(contents) == []


def test_the_last_good_version_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("kind: [unclosed\n")
    assert not folder(tmp_path).read().inventory.integrations
    assert IDENTITY in folder(tmp_path, {str(path): WEB}).read().inventory.integrations


def test_without_a_good_version_the_sound_documents_of_a_broken_file_count(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WEB + "---\nkind: [unclosed\n")
    contents = folder(tmp_path).read()
    assert IDENTITY in contents.inventory.integrations
    assert len(contents.findings) == 1


def test_an_object_that_breaks_its_schema_has_no_effect_until_it_is_mended(tmp_path: Path) -> None:
    """No last good version for objects: what runs is what would run after a restart."""
    path = tmp_path / "a.yaml"
    path.write_text(WEB)
    source = folder(tmp_path)
    source.read()
    path.write_text(WEB.replace("spec: {", "spec: {titel: x, "))
    contents = source.read()
    assert not contents.inventory.integrations
    compiled = compile_flow(contents.inventory, types=load_types(), now=Micros(0))
    placed = placed_findings(compiled.reports, contents.manifests)
    assert [(f.file, f.line, f.field) for f in placed] == [(str(path), 4, "spec.titel")]


def test_an_object_declared_twice_counts_once_and_the_second_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(WEB)
    (tmp_path / "b.yaml").write_text(WEB.replace("webhook", "zabbix"))
    source = folder(tmp_path)
    contents = source.read()
    assert contents.inventory.integrations[IDENTITY].spec.type == "webhook"
    assert [(f.file, f.reason) for f in contents.findings] == [(str(tmp_path / "b.yaml"), "Duplicate")]
    (tmp_path / "a.yaml").unlink()
    contents = source.read()
    assert contents.inventory.integrations[IDENTITY].spec.type == "zabbix"
    assert messages(contents) == []


def test_secrets_config_maps_and_namespaces_are_read(tmp_path: Path) -> None:
    """Values of Secrets stay out of the inventory (digests only) and of every representation."""
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: cGxhaW4=}\nstringData: {b: hush-hush}\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {t: text}\n---\n"
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: team, labels: {tier: gold}}\n"
    )
    contents = folder(tmp_path).read()
    assert contents.values == {("default", "s", "a"): b"plain", ("default", "s", "b"): b"hush-hush"}
    assert contents.inventory.secrets[("default", "s", "b")] == "digest of 9"
    assert contents.inventory.config_maps[("default", "c")] == {"t": "text"}
    assert contents.inventory.namespaces["team"] == {"tier": "gold"}
    assert "hush" not in repr(contents)


def test_a_secret_that_is_not_base64_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: not base64!}\n"
    )
    contents = folder(tmp_path).read()
    assert [(f.field, f.line) for f in contents.findings] == [("data.a", 4)]


def test_unreadable_files_are_findings(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"# K\xf6ln\n")
    (tmp_path / "huge.yaml").write_text("#" * (4 * 1024 * 1024 + 1))
    reasons = {finding.reason for finding in folder(tmp_path).read().findings}
    assert reasons == {"NotUtf8", "FileTooLarge"}
