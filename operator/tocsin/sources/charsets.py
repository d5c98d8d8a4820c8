"""Character sets that senders may name, and bytes of theirs as text."""

from __future__ import annotations

_NAMES = (
    "utf-8 utf8 us-ascii ascii utf-16 utf-16le utf-16be "
    "iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9 iso-8859-10 "
    "iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 latin-1 latin1 "
    "windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 "
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp850 cp866 "
    "koi8-r koi8-u shift_jis euc-jp euc-kr iso-2022-jp gb2312 gbk gb18030 big5"
)
KNOWN_CHARSETS = frozenset(_NAMES.split())
"""Closed, because some of Python's codecs are no character sets and some take quadratic time."""


def decoded(raw: bytes, charset: str = "") -> str:
    """The text, never an exception. A charset that is missing or not known is UTF-8, or Windows-1252 where it is not UTF-8."""
    name = charset.strip("\"' ").lower()
    if name in KNOWN_CHARSETS:
        return raw.decode(name, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")
