"""Tokens of JSON in a buffer of bytes: numbers, strings, keys and whole values to skip.

A place of -1 is a surprise: something that the scanner does not follow and leaves to the standard library. The last
byte of the text must be a closing bracket or brace; no token runs past it.
"""

from __future__ import annotations

import math

import numpy as np

from segeval.kernels.jit import loop

# The bit of a known field in the scanner's `present` is its place here.
FIELDS = ("image_id", "category_id", "id", "iscrowd", "width", "height", "score", "area", "bbox", "segmentation")

_NAMES = np.zeros((12, 12), np.uint8)
for _row, _name in enumerate((*FIELDS, "size", "counts")):
    _NAMES[_row, : len(_name)] = np.frombuffer(_name.encode(), np.uint8)
_LENGTHS = np.array([len(name) for name in (*FIELDS, "size", "counts")])
SIZE, COUNT_LIST, OTHER = 10, 11, 12
# Where a name of this length and first letter would stand: no two of them meet.
_NAMED = np.full(32, OTHER)
_NAMED[(_LENGTHS + 2 * _NAMES[:, 0].astype(np.int64)) & 31] = np.arange(OTHER)
_LITERALS = np.array([list(word) for word in (b"true ", b"null ", b"false")], np.uint8)

_TENS = np.array([10.0**k for k in range(23)])
_RANGE = 280  # decimal exponents beyond it are left to the standard library


def _five(exponent: int) -> int:
    """The top 128 bits of 5**exponent, the first bit being one; rounded up where halves could tie (Lemire 2021)."""
    if exponent >= 0:
        power: int = 5**exponent
        return power << (128 - power.bit_length()) if power.bit_length() <= 128 else power >> (power.bit_length() - 128)
    power = 5**-exponent
    bits = (power - 1).bit_length()
    if exponent >= -27:
        return (1 << (bits + 127)) // power + 1
    quotient = (1 << (2 * bits + 128)) // power + 1
    return quotient >> (quotient.bit_length() - 128)


_FIVES = np.array([[_five(q) >> 64, _five(q) & (2**64 - 1)] for q in range(-_RANGE, _RANGE + 1)], np.uint64)


@loop
def _product(a, b):  # type: ignore[no-untyped-def]
    """High and low half of the 128-bit product of two uint64."""
    low32 = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    a0, a1 = a & low32, a >> half
    b0, b1 = b & low32, b >> half
    middle = (a0 * b0 >> half) + (a1 * b0 & low32) + (a0 * b1 & low32)
    return a1 * b1 + (a1 * b0 >> half) + (a0 * b1 >> half) + (middle >> half), a * b


@loop
def _decimal(mantissa, exponent):  # type: ignore[no-untyped-def]
    """The double nearest to mantissa * 10**exponent, |exponent| <= _RANGE.

    Small cases are one exact operation (Clinger 1990); the others take Lemire's 128-bit product (2021).
    """
    if mantissa <= np.uint64(1 << 53) and -22 <= exponent <= 22:
        if exponent < 0:
            return np.float64(mantissa) / _TENS[-exponent]
        return np.float64(mantissa) * _TENS[exponent]
    leading = np.int64(0)
    word = mantissa
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - step) == np.uint64(0):
            word <<= np.uint64(step)
            leading += step
    high, low = _product(word, _FIVES[exponent + _RANGE, 0])
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        more, _ = _product(word, _FIVES[exponent + _RANGE, 1])
        low += more
        if low < more:
            high += np.uint64(1)
    top = np.int64(high >> np.uint64(63))
    shift = np.uint64(top + 9)
    digits = high >> shift
    power = ((217706 * exponent) >> 16) + 11 + top - leading
    # Halfway between two doubles only if nothing was cut off: round to even.
    if (
        low <= np.uint64(1)
        and -4 <= exponent <= 23
        and digits & np.uint64(3) == np.uint64(1)
        and digits << shift == high
    ):
        digits -= np.uint64(1)
    digits = (digits + (digits & np.uint64(1))) >> np.uint64(1)
    return math.ldexp(np.float64(digits), power)


@loop
def number(text, at):  # type: ignore[no-untyped-def]
    """Integer and real value of the number at `at` and the place behind it; place -1 is a surprise, and so is an
    integer value asked of a number with fraction or exponent: its second item is then False."""
    negative = text[at] == 45
    if negative:
        at += 1
    mantissa = np.uint64(0)
    digits = 0
    begin = at
    while 48 <= text[at] <= 57:
        mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
        at += 1
    digits = at - begin
    if digits == 0 or (digits > 1 and text[begin] == 48):
        return np.int64(0), False, 0.0, np.int64(-1)
    exponent = np.int64(0)
    whole = True
    if text[at] == 46:
        whole = False
        at += 1
        fraction = at
        while 48 <= text[at] <= 57:
            mantissa = mantissa * np.uint64(10) + np.uint64(text[at] - 48)
            at += 1
        if at == fraction:
            return np.int64(0), False, 0.0, np.int64(-1)
        exponent = np.int64(fraction - at)
        digits += at - fraction
        if digits > 19:  # leading zeros do not count
            while begin < at and (text[begin] == 48 or text[begin] == 46):
                digits -= text[begin] == 48
                begin += 1
    if text[at] == 101 or text[at] == 69:
        whole = False
        at += 1
        sign = np.int64(-1) if text[at] == 45 else np.int64(1)
        if text[at] == 45 or text[at] == 43:
            at += 1
        power = np.int64(0)
        first = at
        while 48 <= text[at] <= 57:
            power = min(np.int64(9999), power * 10 + text[at] - 48)
            at += 1
        if at == first:
            return np.int64(0), False, 0.0, np.int64(-1)
        exponent += sign * power
    if whole and digits <= 18:
        value = -np.int64(mantissa) if negative else np.int64(mantissa)
        return value, True, np.float64(value), at
    if digits > 19 or whole:
        return np.int64(0), False, 0.0, np.int64(-1)
    if mantissa == np.uint64(0):
        real = 0.0
    elif -_RANGE <= exponent <= _RANGE:
        real = _decimal(mantissa, exponent)
    else:
        return np.int64(0), False, 0.0, np.int64(-1)
    return np.int64(0), False, -real if negative else real, at


@loop
def following(text, at):  # type: ignore[no-untyped-def]
    """The next character that is no white space, and its place; 0 at the end of the text."""
    while at < text.size:
        character = text[at]
        if character > 32:
            return character, at
        if character != 32 and character != 10 and character != 13 and character != 9:
            break
        at += 1
    return np.uint8(0), at


@loop
def string(text, at):  # type: ignore[no-untyped-def]
    """Place of the closing quotation mark of the string whose first character is at `at`, and whether it is plain."""
    plain = True
    while at < text.size:
        character = text[at]
        if character == 34:
            return at, plain
        if character < 32:
            return np.int64(-1), False
        if character > 127:  # the caller checks the encoding
            plain = False
        elif character == 92:
            plain = False
            at += 1
            follower = text[at] if at < text.size else 0
            if follower == 117:
                for k in range(at + 1, at + 5):
                    digit = text[k] if k < text.size else 0
                    if not (48 <= digit <= 57 or 65 <= digit <= 70 or 97 <= digit <= 102):
                        return np.int64(-1), False
            elif follower not in (34, 92, 47, 98, 102, 110, 114, 116):
                return np.int64(-1), False
        at += 1
    return np.int64(-1), False


@loop
def key(text, at):  # type: ignore[no-untyped-def]
    """Which known name the key at `at` is, and the place of its value's first character."""
    character, at = following(text, at)
    if character != 34:
        return OTHER, np.int64(-1)
    end, plain = string(text, at + 1)
    if end < 0 or not plain:
        return OTHER, np.int64(-1)
    size = end - at - 1
    name = np.int64(OTHER)
    if 2 <= size <= 12:
        name = _NAMED[(size + 2 * text[at + 1]) & 31]
        if name != OTHER:
            if _LENGTHS[name] == size:
                for k in range(size):
                    if text[at + 1 + k] != _NAMES[name, k]:
                        name = np.int64(OTHER)
                        break
            else:
                name = np.int64(OTHER)
    character, at = following(text, end + 1)
    if character != 58:
        return name, np.int64(-1)
    character, at = following(text, at + 1)
    return name, at


@loop
def _literal(text, at):  # type: ignore[no-untyped-def]
    """The place behind `true`, `false` or `null`, else -1."""
    for row in range(3):
        size = 5 if row == 2 else 4
        if at + size > text.size:
            continue
        same = True
        for k in range(size):
            same &= text[at + k] == _LITERALS[row, k]
        if same:
            return at + size
    return np.int64(-1)


@loop
def skip(text, at):  # type: ignore[no-untyped-def]
    """The place behind the value at `at`, whose grammar is checked; -1 is a surprise."""
    depth = 0
    objects = np.uint64(0)
    while True:
        character, at = following(text, at)
        opened = character == 123 or character == 91
        if opened:
            depth += 1
            if depth > 60:
                return np.int64(-1)
            objects = objects << np.uint64(1) | np.uint64(character == 123)
            follower, place = following(text, at + 1)
            if follower == character + 2:
                at = place
            else:
                at += 1
                if character == 123:
                    _, at = key(text, at)
                    if at < 0:
                        return at
                continue
            depth -= 1
            objects >>= np.uint64(1)
            at += 1
        elif character == 34:
            at, _ = string(text, at + 1)
            if at < 0:
                return at
            at += 1
        elif character == 45 or 48 <= character <= 57:
            _, _, _, at = number(text, at)
            if at < 0:
                return at
        else:
            at = _literal(text, at)
            if at < 0:
                return at
        while True:  # behind a value: the next one, or the end of what holds it
            if depth == 0:
                return at
            inside = objects & np.uint64(1)
            character, at = following(text, at)
            at += 1
            if character == 44:
                if inside:
                    _, at = key(text, at)
                    if at < 0:
                        return at
                break
            if character != (125 if inside else 93):
                return np.int64(-1)
            depth -= 1
            objects >>= np.uint64(1)
