"""Renders both ways; makes the corpus and the strategies importable under --import-mode=importlib."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, parse

sys.path.insert(0, str(Path(__file__).parent))

NOW = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""


@pytest.fixture
def render() -> Callable[..., str]:
    """Renders a text over a payload; both ways of rendering must agree on everything."""

    def run(text: str, payload: Any = None, **options: Any) -> str:
        delimiters = options.pop("delimiters", ("{{", "}}"))
        limit = options.pop("limit", 50_000)
        template = parse(TemplateText(text=text, delimiters=delimiters))
        options.setdefault("now", NOW)
        fast, slow = Variables(payload=payload, **options), Variables(payload=payload, **options)
        run.variables = fast  # type: ignore[attr-defined]
        outcomes = []
        for variables, how in ((fast, template.render), (slow, template.render_sandboxed)):
            try:
                outcomes.append((how(variables, limit=limit), None))
            except TemplateProblem as problem:
                outcomes.append((None, problem))
        (text_fast, problem_fast), (text_slow, problem_slow) = outcomes
        assert text_fast == text_slow
        assert str(problem_fast) == str(problem_slow)
        assert fast.notes == slow.notes
        if problem_fast is not None:
            raise problem_fast
        return text_fast

    return run


@pytest.fixture
def problem(render: Callable[..., str]) -> Callable[..., TemplateProblem]:
    """The problem that rendering (or parsing) ends with."""

    def run(text: str, payload: Any = None, **options: Any) -> TemplateProblem:
        with pytest.raises(TemplateProblem) as caught:
            render(text, payload, **options)
        return caught.value

    return run
