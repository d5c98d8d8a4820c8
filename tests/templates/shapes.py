"""Random templates of the shapes that are specialised, and random payloads."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = ["a", "b", "status", "items", "keys", "get", "labels", "_x", "payload"]
TEXTS = [
    "",
    "a",
    "resolved",
    "7",
    "007",
    "1.0",
    "True",
    "none",
    "héllo",
    "<b>&'\"",
    "{{ 7*7 }}",
    "x\x00y",
    " Ok \n",
    "b" * 1100,
]
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 7, -1, 10**6, 2**63, 10**30, 1.0, 0.5, -0.0, 1e300])
    | st.sampled_from(TEXTS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from(KEYS), values, max_size=6) | values

literals = st.sampled_from(
    [
        '""',
        '"a"',
        '"resolved"',
        "'7'",
        '"True"',
        '"héllo"',
        "0",
        "1",
        "7",
        "1.0",
        "0.5",
        "true",
        "false",
        "none",
        "-1",
    ]
)
paths = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(["payload", "payload", "payload", "labels", "source_link", "nowhere"]),
    st.lists(
        st.sampled_from([f".{key}" for key in KEYS])
        | st.sampled_from([f"['{key}']" for key in KEYS])
        | st.sampled_from(["[0]", "[-1]", "[1]", "['0']"]),
        max_size=3,
    ),
)
FILTERS = [
    "default('d')",
    "default('d', true)",
    "default(payload.a)",
    "upper",
    "lower",
    "trim",
    "string",
    "length",
    "first",
    "last",
    "tojson",
    "int",
    "int(5)",
    "float",
    "truncate(3)",
    "replace('a', 'bb')",
    "join(', ')",
    "list",
    "map('string')|list",
    "select('string')|list",
    "e",
    "regex_search('[a-z]')",
    "regex_replace('a', '<\\\\\\\\g<0>>')",
    "dictsort",
    "sum",
    "unique",
    "sort",
    "reverse",
    "capitalize",
    "title",
    "tojson_pretty",
    "b64decode",
    "timestamp_to_datetime",
]
TESTS = [
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "mapping",
    "boolean",
    "sequence",
    "in ['a', 7, 1.0]",
    "eq 1",
    "odd",
    "true",
]


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]), inner
        ),
        st.builds(
            "({} {} [{}])".format,
            inner,
            st.sampled_from(["in", "not in"]),
            st.lists(literals, max_size=3).map(", ".join),
        ),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("(not {})".format, inner),
        st.builds("({} is {}{})".format, inner, st.sampled_from(["", "not "]), st.sampled_from(TESTS)),
        st.builds("({} | {})".format, inner, st.sampled_from(FILTERS)),
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
        st.builds("{}.get('{}')".format, paths, st.sampled_from(KEYS)),
        st.builds("{}.get('{}', {})".format, paths, st.sampled_from(KEYS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "%", "/"]), inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({})[{}]".format, inner, st.sampled_from(["0", "'a'", "payload.a", "0:1", ":2"])),
        st.builds("({}).{}".format, inner, st.sampled_from(KEYS)),
        st.builds(
            "{}.{}".format,
            paths,
            st.sampled_from(["upper()", "startswith('a')", "items()", "split('e')", "nope()"]),
        ),
        st.builds("dict(a={})".format, inner),
    )


expressions = st.recursive(paths | literals, combined, max_leaves=6)
data = st.sampled_from(["x", " ", "\n", "true", "é", "<", ""])


def statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, expressions, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expressions, inner, inner),
        st.builds(
            "{{%- if {} -%}}{}{{%- elif {} %}}{}{{% else %}}{}{{% endif %}}".format,
            expressions,
            inner,
            expressions,
            inner,
            inner,
        ),
        st.builds("{{% set {} = {} %}}".format, st.sampled_from(["v", "w", "nowhere"]), expressions),
        st.builds("{{{{ {} }}}}".format, st.sampled_from(["v", "w", "v.a", "w or v", "v == w"])),
        st.builds("{{% for v in {} %}}{}{{% endfor %}}".format, expressions, inner),
    )


templates = st.recursive(st.builds("{{{{ {} }}}}".format, expressions) | data, statements, max_leaves=5)
