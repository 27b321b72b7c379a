"""A layer of gated recurrent units over all steps, compiled by numba; it never takes the GIL.

The order of the gates is torch's: reset r, update z, new n. Arrays are tiles.
"""

from __future__ import annotations

import numba
import numpy as np

from skattn.kernels._numba_tiles import (
    ONE,
    OPTIONS,
    add_outer,
    add_product,
    add_sums,
    f32,
    sigmoid_in_place,
    tanh,
)

GATES = 3


@numba.njit(**OPTIONS)
def _new(bias, r, m, out):
    for k in range(out.size):
        out[k] = tanh(out[k] + bias + r[k] * m[k])


@numba.njit(**OPTIONS)
def _add_bias(bias, out):
    for k in range(out.size):
        out[k] += bias


@numba.njit(**OPTIONS)
def _mix(n, z, before, out):
    for k in range(out.size):
        out[k] = n[k] + z[k] * (before[k] - n[k])


@numba.njit(**OPTIONS)
def forward(x, w_ih, w_hh, b_ih, b_hh, units, keep):
    """Compute a layer.

    States (N, T, H, L), the last states (N, H, L), and what the backward pass needs, of one
    step only without keep. Units from ``units`` on fill up, and have states of zero.
    """
    n_tiles, n_steps, _, lanes = x.shape
    size = w_hh.shape[1]
    bias = b_ih + b_hh
    states = np.empty((n_tiles, n_steps, size, lanes), f32)
    last = np.empty((n_tiles, size, lanes), f32)
    kept = n_steps if keep else 1
    gates = np.empty((n_tiles, kept, 3 * size, lanes), f32)
    from_state = np.empty((n_tiles, kept, size, lanes), f32)
    start = np.zeros((size, lanes), f32)
    for i in range(n_tiles):
        before = start
        for t in range(n_steps):
            gate, m = gates[i, t if keep else 0], from_state[i, t if keep else 0]
            gate[:] = f32(0)
            add_product(w_ih, x[i, t], gate)
            add_product(w_hh[: 2 * size], before, gate[: 2 * size])
            m[:] = f32(0)
            add_product(w_hh[2 * size :], before, m)
            sigmoid_in_place(gate[:units], bias)
            sigmoid_in_place(gate[size : size + units], bias[size:])
            states[i, t, units:] = f32(0)
            for j in range(units):
                r, z, n = gate[j], gate[size + j], gate[2 * size + j]
                _add_bias(b_hh[2 * size + j], m[j])
                _new(b_ih[2 * size + j], r, m[j], n)
                _mix(n, z, before[j], states[i, t, j])
            before = states[i, t]
        last[i] = before
    return states, last, gates, from_state


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
def _times(a, b, out):
    for k in range(out.size):
        out[k] = a[k] * b[k]


@numba.njit(**OPTIONS)
def backward(x, w_ih, w_hh, states, gates, from_state, grad, grad_last, units, of_inputs):
    """Gradients of x (of no step without of_inputs), w_ih, w_hh, b_ih and b_hh."""
    n_tiles, n_steps, n_in, lanes = x.shape
    size = w_hh.shape[1]
    d_x = np.empty((n_tiles, n_steps if of_inputs else 0, n_in, lanes), f32)
    # The gates of a step are n, r, z and n as the state sees it: the input reads the first three,
    # the state the last three.
    d_gates = np.zeros((4 * size, lanes), f32)
    of_input, of_state = d_gates[: 3 * size], d_gates[size:]
    to_input = np.empty((n_in, 3 * size), f32)
    to_input[:, :size] = w_ih[2 * size :].T
    to_input[:, size:] = w_ih[: 2 * size].T
    to_state = w_hh.T.copy()
    d_ih, d_hh = np.zeros((3 * size, n_in), f32), np.zeros((3 * size, size), f32)
    d_b, d = np.zeros(4 * size, f32), np.empty(lanes, f32)
    direct, start = np.empty((size, lanes), f32), np.zeros((size, lanes), f32)
    for i in range(n_tiles):
        direct[:] = f32(0)
        through = grad_last[i].copy()
        for t in range(n_steps - 1, -1, -1):
            before = states[i, t - 1] if t else start
            gate, m = gates[i, t], from_state[i, t]
            for j in range(units):
                r, z, n = gate[j], gate[size + j], gate[2 * size + j]
                _total(direct[j], through[j], grad[i, t, j], d)
                _of_new(d, z, n, d_gates[j])
                _of_reset(d_gates[j], m[j], r, d_gates[size + j])
                _of_update(d, before[j], n, z, d_gates[2 * size + j])
                _times(d_gates[j], r, d_gates[3 * size + j])
                _times(d, z, direct[j])
            add_outer(of_input, x[i, t], d_ih)
            add_sums(d_gates, d_b)
            if of_inputs:
                d_x[i, t][:] = f32(0)
                add_product(to_input, of_input, d_x[i, t])
            if t:
                add_outer(of_state, before, d_hh)
                through[:] = f32(0)
                add_product(to_state, of_state, through)
    in_order = np.concatenate((d_ih[size:], d_ih[:size]))
    return (
        d_x,
        in_order,
        d_hh,
        np.concatenate((d_b[size : 3 * size], d_b[:size])),
        d_b[size:].copy(),
    )
