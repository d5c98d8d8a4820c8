"""Random expressions whose value in Jinja2 itself is beyond doubt, and payloads without odd keys."""

from __future__ import annotations

from hypothesis import strategies as st
from shapes import literals

PLAIN_KEYS = ["a", "b", "status", "labels", "x1"]
plain_payloads = st.dictionaries(
    st.sampled_from(PLAIN_KEYS),
    st.recursive(
        st.none()
        | st.booleans()
        | st.sampled_from([0, 1, 7, 2**70, 1.0, 0.5])
        | st.sampled_from(["", "a", "7", "resolved", "é"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PLAIN_KEYS), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=5,
)
plain_paths = st.builds(
    lambda steps: "payload" + "".join(steps),
    st.lists(
        st.sampled_from(
            [f".{key}" for key in PLAIN_KEYS] + [f"['{key}']" for key in PLAIN_KEYS] + ["[0]", "[-1]"]
        ),
        max_size=3,
    ),
)
plain_expressions = st.recursive(
    plain_paths | literals,
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["==", "!=", "<", ">=", "in", "and", "or", "+", "*", "~"]),
            inner,
        ),
        st.builds(
            "({} | {})".format,
            inner,
            st.sampled_from(
                [
                    "default('d')",
                    "upper",
                    "length",
                    "first",
                    "tojson",
                    "int",
                    "string",
                    "join",
                    "sort",
                    "dictsort",
                    "list",
                    "title",
                    "replace('a', 'b')",
                    "float",
                    "reverse|list",
                    "unique|list",
                    "min",
                    "max",
                    "sum",
                    "round",
                    "abs",
                    "urlencode",
                    "batch(2)|list",
                    "slice(2)|list",
                    "wordcount",
                    "indent",
                    "center(9)",
                    "striptags",
                    "format(1)",
                    "string|truncate(4)",
                    "map('upper')|list",
                    "select|list",
                    "items|list",
                    "filesizeformat",
                    "xmlattr",
                    "pprint",
                    "trim('a')",
                    "capitalize",
                ]
            ),
        ),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("'%s|%5s|%r' % ({}, {}, {})".format, inner, inner, inner),
        st.builds("'{{}}|{{!r}}|{{:>5}}'.format({}, {}, 'x')".format, inner, inner),
        st.builds("[{}, {}][:1]".format, inner, inner),
        st.builds("({}, {})".format, inner, inner),
    ),
    max_leaves=4,
)
