"""Loops over the gates of one unit, compiled by numba into vectors over the rows of a batch.

Arrays lie with units before rows, (H, B): what a loop reads and writes is contiguous, and a row's
place among the rows has no influence on its bits. The loops are short on purpose. With more than a
few arrays in a loop, or with the result among the arguments, the compiler cannot rule out that what
is written is read again, and takes one number at a time. Products and sums may be fused
(``contract``); nothing assumes that NaN and infinity do not occur.
"""

from __future__ import annotations

import numba
import numpy as np



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
f32 = np.float32
ONE = f32(1)


@numba.njit(**OPTIONS, inline="always")
def tanh(x):
    """Hyperbolic tangent as a quotient of polynomials: 2e-7 from the true value at most."""
    bound = f32(7.90531110763549805)
    x = bound if x > bound else x
    x = -bound if x < -bound else x
    s = x * x
    p = f32(-2.76076847742355e-16)
    p = p * s + f32(2.00018790482477e-13)
    p = p * s + f32(-8.60467152213735e-11)
    p = p * s + f32(5.12229709037114e-08)
    p = p * s + f32(1.48572235717979e-05)
    p = p * s + f32(6.37261928875436e-04)
    p = p * s + f32(4.89352455891786e-03)
    q = f32(1.19825839466702e-06)
    q = q * s + f32(1.18534705686654e-04)
    q = q * s + f32(2.26843463243900e-03)
    q = q * s + f32(4.89352518554385e-03)
    return x * p / q


@numba.njit(**OPTIONS, inline="always")
def sigmoid(x):
    """Logistic function."""
    return f32(0.5) * tanh(f32(0.5) * x) + f32(0.5)


@numba.njit(**OPTIONS)
def sigmoid_of_sum(a, b, bias, out):
    """``sigmoid(a + b + bias)`` with one bias a unit."""
    for j in range(len(out)):
        _sigmoid_row(a[j], b[j], bias[j], out[j])


@numba.njit(**OPTIONS)
def _sigmoid_row(a, b, bias, out):
    for k in range(out.size):
        out[k] = sigmoid(a[k] + b[k] + bias)


@numba.njit(**OPTIONS)
def tanh_of_sum(a, b, bias, out):
    """``tanh(a + b + bias)`` with one bias a unit."""
    for j in range(len(out)):
        _tanh_row(a[j], b[j], bias[j], out[j])


@numba.njit(**OPTIONS)
def _tanh_row(a, b, bias, out):
    for k in range(out.size):
        out[k] = tanh(a[k] + b[k] + bias)


@numba.njit(**OPTIONS)
def increase(a, out):
    """Add the vector a to out."""
    for k in range(out.size):
        out[k] += a[k]
