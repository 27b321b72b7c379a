"""A layer of gated recurrent units over all steps, compiled by numba; it never takes the GIL.

The order of the gates is torch's: reset r, update z, new n. Arrays lie with units before rows.
"""

from __future__ import annotations

import numba
import numpy as np

from skattn.kernels._numba_rows import ONE, OPTIONS, f32, increase, sigmoid_of_sum, tanh


@numba.njit(**OPTIONS)
def multiply(a, b, out):
    """Matrix product, as the layers compute theirs."""
    np.dot(a, b, out)


@numba.njit(**OPTIONS)
def _from_state(a, bias, out):
    for k in range(out.size):
        out[k] = a[k] + bias


@numba.njit(**OPTIONS)
def _new(a, bias, r, m, out):
    for k in range(out.size):
        out[k] = tanh(a[k] + bias + r[k] * m[k])


@numba.njit(**OPTIONS)
def _mix(n, z, before, out):
    for k in range(out.size):
        out[k] = n[k] + z[k] * (before[k] - n[k])


@numba.njit(**OPTIONS)
def forward(x, w_ih, w_hh, b_ih, b_hh, keep):
    """States (T, H, B), the last state (H, B) and, with keep, what the backward pass needs."""
    n_steps, _, n_rows = x.shape
    size = w_hh.shape[1]
    bias = b_ih + b_hh
    states = np.empty((n_steps, size, n_rows), f32)
    kept = n_steps if keep else 1
    gates = np.empty((kept, 3 * size, n_rows), f32)
    from_state = np.empty((kept, size, n_rows), f32)
    of_x, of_h = np.empty((3 * size, n_rows), f32), np.empty((3 * size, n_rows), f32)
    before = np.zeros((size, n_rows), f32)
    for t in range(n_steps):
        np.dot(w_ih, x[t], of_x)
        np.dot(w_hh, before, of_h)
        gate, m = gates[t if keep else 0], from_state[t if keep else 0]
        sigmoid_of_sum(of_x[: 2 * size], of_h[: 2 * size], bias[: 2 * size], gate[: 2 * size])
        for j in range(size):
            r, z, n = gate[j], gate[size + j], gate[2 * size + j]
            _from_state(of_h[2 * size + j], b_hh[2 * size + j], m[j])
            _new(of_x[2 * size + j], b_ih[2 * size + j], r, m[j], n)
            _mix(n, z, before[j], states[t, j])
        before = states[t]
    return states, before.copy(), gates, from_state


@numba.njit(**OPTIONS)
def _total(direct, through, given, out):
    for k in range(out.size):
        out[k] = direct[k] + through[k] + given[k]


@numba.njit(**OPTIONS)
def _of_new(d, z, n, out):
    for k in range(out.size):
        out[k] = d[k] * (ONE - z[k]) * (ONE - n[k] * n[k])


@numba.njit(**OPTIONS)
def _of_update(d, before, n, z, out):
    for k in range(out.size):
        out[k] = d[k] * (before[k] - n[k]) * z[k] * (ONE - z[k])


@numba.njit(**OPTIONS)
def _of_reset(d_new, m, r, out):
    for k in range(out.size):
        out[k] = d_new[k] * m[k] * r[k] * (ONE - r[k])


@numba.njit(**OPTIONS)
def _multiply(a, b, out):
    for k in range(out.size):
        out[k] = a[k] * b[k]


@numba.njit(**OPTIONS)
def _copy(a, out):
    for k in range(out.size):
        out[k] = a[k]


@numba.njit(**OPTIONS)
def backward(x, w_ih, w_hh, states, gates, from_state, grad, grad_last, of_inputs):
    """Gradients of x (empty without of_inputs), w_ih, w_hh, b_ih and b_hh."""
    n_steps, n_in, n_rows = x.shape
    size = w_hh.shape[1]
    d_x = np.empty((n_steps if of_inputs else 0, n_in, n_rows), f32)
    d_ih, d_hh = np.zeros((3 * size, n_in), f32), np.zeros((3 * size, size), f32)
    d_bx, d_bh = np.zeros(3 * size, f32), np.zeros(3 * size, f32)
    part_ih, part_hh = np.empty((3 * size, n_in), f32), np.empty((3 * size, size), f32)
    part_b, ones = np.empty(3 * size, f32), np.ones(n_rows, f32)
    d_gx, d_gh = np.empty((3 * size, n_rows), f32), np.empty((3 * size, n_rows), f32)
    direct, through = grad_last.copy(), np.zeros((size, n_rows), f32)
    start, d = np.zeros((size, n_rows), f32), np.empty(n_rows, f32)
    for t in range(n_steps - 1, -1, -1):
        before = states[t - 1] if t else start
        gate, m = gates[t], from_state[t]
        for j in range(size):
            r, z, n = gate[j], gate[size + j], gate[2 * size + j]
            d_r, d_z, d_n = d_gx[j], d_gx[size + j], d_gx[2 * size + j]
            _total(direct[j], through[j], grad[t, j], d)
            _of_new(d, z, n, d_n)
            _of_update(d, before[j], n, z, d_z)
            _of_reset(d_n, m[j], r, d_r)
            _copy(d_r, d_gh[j])
            _copy(d_z, d_gh[size + j])
            _multiply(d_n, r, d_gh[2 * size + j])
            _multiply(d, z, direct[j])
        np.dot(d_gx, x[t].T, part_ih)
        increase(part_ih.ravel(), d_ih.ravel())
        np.dot(d_gx, ones, part_b)
        increase(part_b, d_bx)
        np.dot(d_gh, ones, part_b)
        increase(part_b, d_bh)
        if of_inputs:
            np.dot(w_ih.T, d_gx, d_x[t])
        if t:
            np.dot(d_gh, before.T, part_hh)
            increase(part_hh.ravel(), d_hh.ravel())
            np.dot(w_hh.T, d_gh, through)
    return d_x, d_ih, d_hh, d_bx, d_bh
