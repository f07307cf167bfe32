# SPDX-License-Identifier: Apache-2.0
"""Hostile files, made of sound ones: bytes flipped, cut and put in; nodes of a page taken out, doubled, and made others."""

import json
from typing import Any

from hypothesis import strategies as st

#: nodes as JSON text, of what numbers, texts and nesting can do to a reader; YAML reads them as well
ODD_NODES = (
    "null", "true", "false", "0", "-1", "-0.0", "1.5", "1e400", "NaN", "Infinity", "-Infinity",
    "9" * 20, "9" * 5000, str(2**53), str(2**63), str(-(2**64)),
    '""', r'"\ud800"', r'"\u0000"', r'"\u001b[2J"', r'"\u202e"', '"../../etc/passwd"', '"~nobody-here/x"', '"a:b"',
    f'"{"x:" * 3000}"',
    "[]", "{}", "[[]]", '{"": null}', "[" * 150 + "]" * 150, "[" * 960 + "]" * 960, "[" * 20_000, '{"a":' * 20_000,
)  # fmt: skip
#: long ones, which YAML takes long to read
LONG_NODES = (f'"{"x" * 50_000}"', "[" + "0," * 20_000 + "0]", "{" + ",".join(f'"{at}":0' for at in range(3000)) + "}")
#: nodes that only YAML knows: tags, aliases without end, numbers and days that are none
ODD_YAML = (
    "&a [*a]", "*nowhere", "!!python/object/apply:os.system [id]", "!!timestamp x", "2001-99-99", "!!bool x", "!!int x",
    "!!int ''", "!!float x", "!!binary '\xff'", "!!binary x", "!!set [a]", "!!omap x", "!!pairs [1]", "!!null x", "1:99:1",
    "0x", "0b2", "=", "{<<: 3}", "{[a]: b}", "{? {a: b} : c}", "{a: 1, a: 2}", "'\\", "\t", "%TAG", "--- x", "|", "@", "`", "~",
    ".inf", ".nan", "{<<: &b {c: d}, <<: *b}",
)  # fmt: skip
#: nine lines that stand for a billion values, as a list and as merged mappings
BOMBS = tuple(
    "{" + f"a0: &a0 {first}," + ",".join(f"a{n}: &a{n} {form % ','.join([f'*a{n - 1}'] * 9)}" for n in range(1, 10)) + "}"
    for first, form in (("[x]", "[%s]"), ("{x: y}", "{<<: [%s]}"))
)
_HOLE = "@@hole@@"


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with a few of them flipped, taken out, doubled or put in, or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        end = at + draw(st.integers(1, 40))
        how = draw(st.sampled_from(("flip", "put in", "take out", "double", "cut")))
        if how == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "put in":
            content[at:at] = draw(st.binary(max_size=20))
        elif how == "take out":
            del content[at:end]
        elif how == "double":
            content[at:at] = content[at:end] * draw(st.integers(1, 50))
        else:
            del content[at:]
    return bytes(content)


@st.composite
def altered(draw: st.DrawFn, page: Any, odd: tuple[str, ...] = ODD_NODES + LONG_NODES) -> bytes:
    """The page as JSON text, with some of its nodes taken out, doubled, put elsewhere or made others."""
    page, holes = json.loads(json.dumps(page)), list[str]()
    for _ in range(draw(st.integers(1, 3))):
        at, key = _somewhere(draw, page)
        how = draw(st.sampled_from(("another", "another", "odd", "odd", "take out", "double")))
        if at is None or how == "odd":
            holes.append(draw(st.sampled_from(odd)))
            if at is None:
                page = f"{_HOLE}{len(holes) - 1}"
                break
            at[key] = f"{_HOLE}{len(holes) - 1}"
        elif how == "another":
            at[key] = draw(_VALUES)
        elif how == "take out":
            del at[key]
        elif isinstance(at, list):
            at[key:key] = [at[key]] * draw(st.integers(1, 100))
        else:
            at[draw(st.sampled_from((f"{key}2", "", key.upper(), "\x1b[2J", "schema_version")))] = at[key]
    text = json.dumps(page)
    for number, raw in reversed([*enumerate(holes)]):
        text = text.replace(f'"{_HOLE}{number}"', raw)
    return text.encode()


def hostile(page: Any, odd: tuple[str, ...] = ODD_NODES + LONG_NODES) -> st.SearchStrategy[bytes]:
    """Everything that may come where a page of JSON is expected."""
    alone = st.sampled_from(odd).map(str.encode) | st.binary(max_size=200)
    return altered(page, odd) | damaged(json.dumps(page).encode()) | alone


def hostile_yaml(page: Any) -> st.SearchStrategy[bytes]:
    """Everything that may come where YAML is expected, whose flow style is JSON."""
    return hostile(page, ODD_NODES + ODD_YAML) | altered(page, BOMBS)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _somewhere(draw: st.DrawFn, page: Any) -> tuple[Any, Any]:
    """A place in the page, at any depth: what holds it, and its key; (None, None) where the page holds nothing."""
    at, key = None, None
    inner = page
    while isinstance(inner, dict | list) and inner and (at is None or draw(st.booleans())):
        at, key = inner, draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        inner = at[key]
    return at, key
