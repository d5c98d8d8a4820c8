"""The loader against a table written by the Go code of kubectl (sigs.k8s.io/yaml 1.6.0, go.yaml.in/yaml/v2 2.4.4).

Each line of `yaml_scalars.jsonl` holds a document and either the JSON that kubectl sends for it or its error.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tocsin.api.loader import read_value
from tocsin.api.nodes import DocumentError

CASES = [
    json.loads(line)
    for line in Path(__file__).with_name("yaml_scalars.jsonl").read_text("utf-8").splitlines()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["yaml"])[:60])
def test_reads_what_kubectl_reads(case):
    """Value and type of every scalar, key, merge and alias are those that kubectl sends; its errors are errors."""
    text = case["yaml"]
    if "error" in case:
        with pytest.raises(DocumentError):
            read_value(text)
        return
    # Compared as JSON text, where 1, 1.0 and true differ.
    assert json.dumps(read_value(text), sort_keys=True) == json.dumps(case["value"], sort_keys=True)


def test_the_table_is_large():
    """Guard against a truncated table."""
    assert len(CASES) > 1000
