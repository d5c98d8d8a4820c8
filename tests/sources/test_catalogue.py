"""The catalogue: types are folders of data, read strictly, also from a zip file."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

import tocsin
from tocsin.flow.model import TemplateText
from tocsin.flow.templates import parse
from tocsin.sources import BrokenType, load_types, read_types
from tocsin.sources.model import SourceType
from tocsin.sources.samples import read_expected

TYPES = load_types()

NEW_TYPE = """
slug: doorbell
title: Doorbell
description: Somebody is at the door.
fallbackTitle: The bell rang
defaults:
  groupingId: "{{ payload.door }}"
  resolve: "{{ payload.opened }}"
  appearance:
    web: {title: "{{ payload.door }} door"}
"""


def texts_of(source_type: SourceType) -> list[str]:
    """Every template of a type."""
    found = list(source_type.labels.values())
    if source_type.verification:
        found += [source_type.verification.when, source_type.verification.echo]
    pending = [msgspec.to_builtins(source_type.defaults)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
        else:
            found.append(value)
    return [text for text in found if text]


def test_the_catalogue_has_all_types_by_slug_and_cannot_be_changed() -> None:
    """Each type is a named bundle: slug, title, flags, default templates, an example; read once, sorted, read-only.

    Rules: R-TYP-1
    """
    assert list(TYPES) == sorted(TYPES)
    assert {
        "alertmanager",
        "prometheus",
        "grafana_alerting",
        "grafana",
        "webhook",
        "formatted_webhook",
    } <= set(TYPES)
    assert {"zabbix", "elastalert", "kapacitor", "inbound_email", "amazon_sns"} <= set(TYPES)
    assert {"manual", "direct_paging", "maintenance"} <= set(TYPES)
    assert load_types() is TYPES
    with pytest.raises(TypeError):
        TYPES["other"] = TYPES["webhook"]  # type: ignore[index]
    for slug, source_type in TYPES.items():
        assert source_type.slug == slug
        assert source_type.title
        assert source_type.defaults.appearance.web.title
        assert source_type.fallback_title


def test_who_has_a_url_a_heartbeat_and_a_demo_alert() -> None:
    """Internal types and e-mail have no URL; every type with a URL takes heartbeats; a demo needs an example."""
    assert {slug for slug, t in TYPES.items() if not t.url} == {
        "manual",
        "direct_paging",
        "maintenance",
        "inbound_email",
    }
    for slug, source_type in TYPES.items():
        assert source_type.heartbeat == source_type.url, slug
        assert source_type.demo == (source_type.example is not None), slug


@pytest.mark.parametrize("slug", TYPES)
def test_every_template_of_a_type_parses(slug: str) -> None:
    """No default is broken, whatever slot it fills."""
    for text in texts_of(TYPES[slug]):
        parse(TemplateText(text=text))


@pytest.mark.parametrize("slug", TYPES)
def test_every_sample_has_an_expectation_and_the_reverse(slug: str) -> None:
    """A file without an expectation, or an expectation without a file, is a mistake of the type's author."""
    folder = files("tocsin.sources") / slug
    assert {entry.name for entry in (folder / "samples").iterdir()} == set(read_expected(folder))


def test_adding_a_folder_adds_a_type(tmp_path: Path, build: Callable, send: Callable) -> None:
    """A folder with a type.yaml is a type, without a line of code; folders without one are none."""
    (tmp_path / "doorbell" / "samples").mkdir(parents=True)
    (tmp_path / "doorbell" / "type.yaml").write_text(NEW_TYPE)
    (tmp_path / "doorbell" / "samples" / "example.json").write_text('{"door": "back"}')
    (tmp_path / "helpers").mkdir()
    types = read_types(tmp_path)
    assert list(types) == ["doorbell"]
    assert types["doorbell"].example == {"door": "back"}
    program = build("doorbell", types)
    (rung,) = send(program, {"door": "front"})
    (opened,) = send(program, {"door": "front", "opened": True})
    assert rung.decision.title == "front door"
    assert rung.decision.grouping_key == opened.decision.grouping_key
    assert opened.decision.resolve


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (NEW_TYPE.replace("fallbackTitle", "fallbackTitel"), "unknown field `fallbackTitel`"),
        (NEW_TYPE.replace("groupingId", "groupingKey"), "unknown field `groupingKey`"),
        (NEW_TYPE.replace("slug: doorbell", "slug: door-bell"), "slug 'door-bell'"),
        (NEW_TYPE.replace("slug: doorbell", "slug: bell"), "slug 'bell'"),
        (NEW_TYPE.replace("fallbackTitle: The bell rang", "split: sometimes"), "sometimes"),
        (NEW_TYPE.replace("fallbackTitle: The bell rang", ""), "fallback_title is missing"),
        (NEW_TYPE.replace("The bell rang", "[1]"), "fallbackTitle"),
        ("slug: [", "doorbell/type.yaml"),
    ],
)
def test_a_bad_type_is_refused_in_one_line_that_names_the_file(
    tmp_path: Path, text: str, complaint: str
) -> None:
    """A misspelt field would silently be no default, so it is an error."""
    (tmp_path / "doorbell").mkdir()
    (tmp_path / "doorbell" / "type.yaml").write_text(text)
    with pytest.raises(BrokenType) as refused:
        read_types(tmp_path)
    message = str(refused.value)
    assert message.startswith("doorbell/type.yaml: ")
    assert complaint in message
    assert "\n" not in message


def test_a_bad_example_is_refused(tmp_path: Path) -> None:
    """The demo alert's payload has to be JSON."""
    (tmp_path / "doorbell" / "samples").mkdir(parents=True)
    (tmp_path / "doorbell" / "type.yaml").write_text(NEW_TYPE)
    (tmp_path / "doorbell" / "samples" / "example.json").write_text("{door}")
    with pytest.raises(BrokenType, match=r"doorbell/samples/example\.json"):
        read_types(tmp_path)


def test_types_are_read_from_a_zip_file(tmp_path: Path) -> None:
    """Packaged data is read through the import system, so no installation layout matters."""
    package, tree = Path(tocsin.__file__).parent, tmp_path / "tree"
    shutil.copytree(package / "sources", tree / "tocsin" / "sources")
    shutil.copytree(package / "api", tree / "tocsin" / "api")
    shutil.copy(package / "__init__.py", tree / "tocsin")
    with zipfile.ZipFile(tmp_path / "tocsin.zip", "w") as archive:
        for file in sorted(tree.rglob("*.*")):
            archive.write(file, file.relative_to(tree))
    code = "from tocsin.sources import load_types as l; import tocsin; print(tocsin.__file__, *l())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path / "tocsin.zip")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, *slugs = done.stdout.split()
    assert "tocsin.zip" in place
    assert slugs == list(TYPES)


def test_the_documentation_knows_every_type() -> None:
    """docs/integration-types.md says of each type how it groups and ends."""
    text = (Path(__file__).parents[2] / "docs" / "integration-types.md").read_text(encoding="utf-8")
    assert [slug for slug in TYPES if f"`{slug}`" not in text] == []
