"""Products and gates of tiles of rows, compiled by numba into vectors over the rows.

A tile lies with units before rows, (H, 128), or (H, 32) for few rows: what a loop reads and writes
is contiguous, its length is known to the compiler, and every row is computed in the same way
wherever it lies. Sizes of units are multiples of 4, filled up with zeros. Loops have few arrays on
purpose: the compiler takes one number at a time where it cannot rule out that what is written is
read again. Indices are unsigned, because those that may be negative are not taken in vectors.

Products and sums may be fused (``contract``), and sums over rows taken in parts (``reassoc``);
nothing assumes that NaN and infinity do not occur.
"""

from __future__ import annotations

import numba
import numpy as np

from skattn.kernels._compiled import TILE_ROWS

# Units are computed four at a time.
UNITS = 4
# Rows of a tile, and of a tile where there are at most twice as many.
LANES, FEW = TILE_ROWS, 32

f32 = np.float32
u64 = np.uint64
ONE = f32(1)


def _can_cache() -> bool:
    """Whether compiled code can be stored: beside this file, or in the user's folder of caches."""
    try:
        numba.njit(cache=True)(_can_cache)
    except RuntimeError:
        return False
    return True


OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
    "cache": _can_cache(),
}


@numba.njit(**OPTIONS)
def _add_four(out, k, a, b, c, d):
    out[k] += a
    out[k + 1] += b
    out[k + 2] += c
    out[k + 3] += d


def _make_add_product(lanes):
    n_lanes = u64(lanes)  # a constant for the compiler

    def add_product_of_lanes(w, x, out):
        xs, outs = x.reshape(-1), out.reshape(-1)
        for j in range(0, w.shape[0], 4):
            o0 = u64(j) * n_lanes
            o1, o2, o3 = o0 + n_lanes, o0 + u64(2) * n_lanes, o0 + u64(3) * n_lanes
            for k in range(0, w.shape[1], 4):
                x0 = u64(k) * n_lanes
                x1, x2, x3 = x0 + n_lanes, x0 + u64(2) * n_lanes, x0 + u64(3) * n_lanes
                a0, a1, a2, a3 = w[j, k], w[j, k + 1], w[j, k + 2], w[j, k + 3]
                b0, b1, b2, b3 = w[j + 1, k], w[j + 1, k + 1], w[j + 1, k + 2], w[j + 1, k + 3]
                c0, c1, c2, c3 = w[j + 2, k], w[j + 2, k + 1], w[j + 2, k + 2], w[j + 2, k + 3]
                d0, d1, d2, d3 = w[j + 3, k], w[j + 3, k + 1], w[j + 3, k + 2], w[j + 3, k + 3]
                for b in range(n_lanes):
                    p, q, r, s = xs[x0 + b], xs[x1 + b], xs[x2 + b], xs[x3 + b]
                    outs[o0 + b] = outs[o0 + b] + a0 * p + a1 * q + a2 * r + a3 * s
                    outs[o1 + b] = outs[o1 + b] + b0 * p + b1 * q + b2 * r + b3 * s
                    outs[o2 + b] = outs[o2 + b] + c0 * p + c1 * q + c2 * r + c3 * s
                    outs[o3 + b] = outs[o3 + b] + d0 * p + d1 * q + d2 * r + d3 * s

    add_product_of_lanes.__qualname__ = (
        f"add_product_{lanes}"  # a file of its own among the stored ones
    )
    return numba.njit(**OPTIONS)(add_product_of_lanes)


def _make_add_outer(lanes):
    n_lanes = u64(lanes)  # a constant for the compiler

    def add_outer_of_lanes(g, x, out):
        gs, xs = g.reshape(-1), x.reshape(-1)
        zero = f32(0)
        for j in range(0, out.shape[0], 4):
            g0 = u64(j) * n_lanes
            g1, g2, g3 = g0 + n_lanes, g0 + u64(2) * n_lanes, g0 + u64(3) * n_lanes
            for k in range(0, out.shape[1], 4):
                x0 = u64(k) * n_lanes
                x1, x2, x3 = x0 + n_lanes, x0 + u64(2) * n_lanes, x0 + u64(3) * n_lanes
                a0, a1, a2, a3 = zero, zero, zero, zero
                b0, b1, b2, b3 = zero, zero, zero, zero
                c0, c1, c2, c3 = zero, zero, zero, zero
                d0, d1, d2, d3 = zero, zero, zero, zero
                for b in range(n_lanes):
                    p, q, r, s = xs[x0 + b], xs[x1 + b], xs[x2 + b], xs[x3 + b]
                    of0, of1, of2, of3 = gs[g0 + b], gs[g1 + b], gs[g2 + b], gs[g3 + b]
                    a0, a1, a2, a3 = a0 + of0 * p, a1 + of0 * q, a2 + of0 * r, a3 + of0 * s
                    b0, b1, b2, b3 = b0 + of1 * p, b1 + of1 * q, b2 + of1 * r, b3 + of1 * s
                    c0, c1, c2, c3 = c0 + of2 * p, c1 + of2 * q, c2 + of2 * r, c3 + of2 * s
                    d0, d1, d2, d3 = d0 + of3 * p, d1 + of3 * q, d2 + of3 * r, d3 + of3 * s
                _add_four(out[j], k, a0, a1, a2, a3)
                _add_four(out[j + 1], k, b0, b1, b2, b3)
                _add_four(out[j + 2], k, c0, c1, c2, c3)
                _add_four(out[j + 3], k, d0, d1, d2, d3)

    add_outer_of_lanes.__qualname__ = (
        f"add_outer_{lanes}"  # a file of its own among the stored ones
    )
    return numba.njit(**OPTIONS | {"fastmath": {"contract", "reassoc"}})(add_outer_of_lanes)


_add_product, _add_product_few = _make_add_product(LANES), _make_add_product(FEW)
_add_outer, _add_outer_few = _make_add_outer(LANES), _make_add_outer(FEW)


@numba.njit(**OPTIONS)
def add_product(w, x, out):
    """``out += w @ x`` for x of a tile."""
    if x.shape[1] == LANES:
        _add_product(w, x, out)
    else:
        _add_product_few(w, x, out)


@numba.njit(**OPTIONS)
def add_outer(g, x, out):
    """``out += g @ x.T`` for two tiles."""
    if x.shape[1] == LANES:
        _add_outer(g, x, out)
    else:
        _add_outer_few(g, x, out)


@numba.njit(**OPTIONS | {"fastmath": {"contract", "reassoc"}})
def add_sums(g, out):
    """Add the sum over the rows of a tile."""
    for j in range(out.size):
        row, total = g[j], f32(0)
        for b in range(row.size):
            total += row[b]
        out[j] += total


@numba.njit(**OPTIONS)
def to_tiles(x, out):
    """Lay rows (T, B, F) out as tiles (N, T, F', L), filled up with zeros."""
    n_steps, n_rows, n_in = x.shape
    lanes = out.shape[3]
    out[:] = f32(0)
    for i in range(out.shape[0]):
        first = i * lanes
        rows = min(lanes, n_rows - first)
        for t in range(n_steps):
            for j in range(n_in):
                for b in range(rows):
                    out[i, t, j, b] = x[t, first + b, j]


@numba.njit(**OPTIONS)
def from_tiles(tiles, out):
    """Give the rows (T, B, F) of tiles (N, T, F', L)."""
    n_steps, n_rows, n_out = out.shape
    lanes = tiles.shape[3]
    for i in range(tiles.shape[0]):
        first = i * lanes
        for t in range(n_steps):
            for b in range(min(lanes, n_rows - first)):
                for j in range(n_out):
                    out[t, first + b, j] = tiles[i, t, j, b]


@numba.njit(**OPTIONS)
def exp(x):
    """Exponential function, as exact as float32: a polynomial, times a power of 2 by its bits."""
    x = f32(88) if x > f32(88) else x
    x = f32(-87) if x < f32(-87) else x
    # Adding so large a number rounds to whole numbers, which stand in the last bits then.
    shifted = x * f32(1.44269504) + f32(12582912)
    n = shifted - f32(12582912)
    r = x - n * f32(0.693359375) + n * f32(2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    p = p * r * r + r + ONE
    power = (f32(shifted).view(np.int32) << np.int32(23)) + np.int32(0x3F800000)
    return p * np.int32(power).view(np.float32)


@numba.njit(**OPTIONS)
def sigmoid(x):
    """Logistic function."""
    return ONE / (ONE + exp(-x))


@numba.njit(**OPTIONS)
def tanh(x):
    """Hyperbolic tangent: a polynomial near 0, where the difference below would lose its digits."""
    s = x * x
    p = f32(-5.70498872745e-3)
    p = p * s + f32(2.06390887954e-2)
    p = p * s + f32(-5.37397155531e-2)
    p = p * s + f32(1.33314422036e-1)
    p = p * s + f32(-3.33332819422e-1)
    near = x + x * s * p
    far = ONE - f32(2) / (ONE + exp(f32(2) * x))
    return near if s < f32(0.390625) else far


@numba.njit(**OPTIONS)
def sigmoid_in_place(gates, bias):
    """``gates = sigmoid(gates + bias)``, with one bias a unit."""
    for j in range(len(gates)):
        row, b = gates[j], bias[j]
        for k in range(row.size):
            row[k] = sigmoid(row[k] + b)


@numba.njit(**OPTIONS)
def tanh_in_place(gates, bias):
    """``gates = tanh(gates + bias)``, with one bias a unit."""
    for j in range(len(gates)):
        row, b = gates[j], bias[j]
        for k in range(row.size):
            row[k] = tanh(row[k] + b)
