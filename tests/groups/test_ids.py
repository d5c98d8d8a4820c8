"""Public ids."""

from __future__ import annotations

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from tocsin.api.ids import ALPHABET, Disguise, derived_id, random_id

SHAPE = re.compile(rf"[AICR][{ALPHABET}]{{12}}")
NUMBERS = st.integers(min_value=0, max_value=2**60 - 1)


@given(number=NUMBERS, key=st.binary(min_size=1, max_size=40))
def test_a_disguised_number_comes_back(number: int, key: bytes) -> None:
    """For every key and both prefixes; never under the other prefix."""
    disguise = Disguise(key)
    for prefix in "AI":
        public = disguise.id_of(prefix, number)
        assert SHAPE.fullmatch(public)
        assert disguise.number_of(prefix, public) == number
    assert disguise.number_of("A", disguise.id_of("I", number)) is None


@given(text=st.text(max_size=20))
def test_what_is_no_id_is_none(text: str) -> None:
    """Anything that people type is looked up, nothing raises."""
    found = Disguise(b"key").number_of("A", text)
    assert found is None or SHAPE.fullmatch(text)


def test_ids_of_neighbours_look_unrelated() -> None:
    """No two of the first numbers share more than half of their characters; another key gives other ids."""
    ids = [Disguise(b"key").id_of("A", number) for number in range(200)]
    assert len(set(ids)) == 200
    same = [
        sum(a == b for a, b in zip(one[1:], two[1:], strict=True)) for one, two in itertools.pairwise(ids)
    ]
    assert max(same) <= 6
    assert Disguise(b"other").id_of("A", 1) != ids[1]


def test_derived_ids_never_change() -> None:
    """They are in links and dashboards of people: fixed for all versions."""
    assert derived_id("C", "shop", "web") == "CWPET5SZPZKV9"
    assert derived_id("R", "shop", "web")[1:] != derived_id("C", "shop", "web")[1:]
    assert derived_id("C", "shop", "we") != derived_id("C", "shopw", "e")


def test_random_ids_have_the_shape() -> None:
    """A letter and twelve characters without look-alikes."""
    made = {random_id("A") for _ in range(100)}
    assert len(made) == 100
    assert all(SHAPE.fullmatch(one) for one in made)
