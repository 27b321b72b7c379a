"""A layer of long short-term memory over all steps, compiled by numba; it never takes the GIL.

The order of the gates is torch's: input i, forget f, cell g, output o. Arrays are tiles.
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
    tanh_in_place,
)

GATES = 4


@numba.njit(**OPTIONS)
def _cell(f, before, i, g, out):
    for k in range(out.size):
        out[k] = f[k] * before[k] + i[k] * g[k]


@numba.njit(**OPTIONS)
def _state(o, cell, out):
    for k in range(out.size):
        out[k] = o[k] * tanh(cell[k])


@numba.njit(**OPTIONS)
def forward(x, w_ih, w_hh, b_ih, b_hh, units, keep):
    """Compute a layer.

    States (N, T, H, L), the last cells (N, H, L), and what the backward pass needs, of few
    steps only without keep. Units from ``units`` on fill up, and have states of zero.
    """
    n_tiles, n_steps, _, lanes = x.shape
    size = w_hh.shape[1]
    bias = b_ih + b_hh
    states = np.empty((n_tiles, n_steps, size, lanes), f32)
    last = np.empty((n_tiles, size, lanes), f32)
    gates = np.empty((n_tiles, n_steps if keep else 1, 4 * size, lanes), f32)
    cells = np.empty((n_tiles, n_steps if keep else 2, size, lanes), f32)
    start = np.zeros((size, lanes), f32)
    g0, o0 = 2 * size, 3 * size
    for n in range(n_tiles):
        before, cell_before = start, start
        for t in range(n_steps):
            gate, cell = gates[n, t if keep else 0], cells[n, t if keep else t % 2]
            gate[:] = f32(0)
            add_product(w_ih, x[n, t], gate)
            add_product(w_hh, before, gate)
            sigmoid_in_place(gate[:units], bias)
            sigmoid_in_place(gate[size : size + units], bias[size:])
            tanh_in_place(gate[g0 : g0 + units], bias[g0:])
            sigmoid_in_place(gate[o0 : o0 + units], bias[o0:])
            states[n, t, units:], cell[units:] = f32(0), f32(0)
            for j in range(units):
                _cell(gate[size + j], cell_before[j], gate[j], gate[g0 + j], cell[j])
                _state(gate[o0 + j], cell[j], states[n, t, j])
            before, cell_before = states[n, t], cell
        last[n] = cell_before
    return states, last, gates, cells


@numba.njit(**OPTIONS)
def _total(through, given, out):
    for k in range(out.size):
        out[k] = through[k] + given[k]


@numba.njit(**OPTIONS)
def _of_output(d, cell, o, out):
    for k in range(out.size):
        out[k] = d[k] * tanh(cell[k]) * o[k] * (ONE - o[k])


@numba.njit(**OPTIONS)
def _increase_by_state(d, cell, o, out):
    for k in range(out.size):
        c = tanh(cell[k])
        out[k] += d[k] * o[k] * (ONE - c * c)


@numba.njit(**OPTIONS)
def _of_gate(d_cell, other, gate, out):
    for k in range(out.size):
        out[k] = d_cell[k] * other[k] * gate[k] * (ONE - gate[k])


@numba.njit(**OPTIONS)
def _of_new(d_cell, i, g, out):
    for k in range(out.size):
        out[k] = d_cell[k] * i[k] * (ONE - g[k] * g[k])


@numba.njit(**OPTIONS)
def _forget(f, out):
    for k in range(out.size):
        out[k] *= f[k]


@numba.njit(**OPTIONS)
def backward(x, w_ih, w_hh, states, gates, cells, grad, grad_last, grad_cell, units, of_inputs):
    """Gradients of x (of no step without of_inputs), w_ih, w_hh, b_ih and b_hh."""
    n_tiles, n_steps, n_in, lanes = x.shape
    size = w_hh.shape[1]
    d_x = np.empty((n_tiles, n_steps if of_inputs else 0, n_in, lanes), f32)
    d_gates = np.zeros((4 * size, lanes), f32)
    to_input, to_state = w_ih.T.copy(), w_hh.T.copy()
    d_ih, d_hh = np.zeros((4 * size, n_in), f32), np.zeros((4 * size, size), f32)
    d_b, d = np.zeros(4 * size, f32), np.empty(lanes, f32)
    start = np.zeros((size, lanes), f32)
    for n in range(n_tiles):
        through, d_cell = grad_last[n].copy(), grad_cell[n].copy()
        for t in range(n_steps - 1, -1, -1):
            before = states[n, t - 1] if t else start
            cell_before = cells[n, t - 1] if t else start
            gate, cell = gates[n, t], cells[n, t]
            for j in range(units):
                i, f, g, o = gate[j], gate[size + j], gate[2 * size + j], gate[3 * size + j]
                _total(through[j], grad[n, t, j], d)
                _of_output(d, cell[j], o, d_gates[3 * size + j])
                _increase_by_state(d, cell[j], o, d_cell[j])
                _of_gate(d_cell[j], g, i, d_gates[j])
                _of_gate(d_cell[j], cell_before[j], f, d_gates[size + j])
                _of_new(d_cell[j], i, g, d_gates[2 * size + j])
                _forget(f, d_cell[j])
            add_outer(d_gates, x[n, t], d_ih)
            add_sums(d_gates, d_b)
            if of_inputs:
                d_x[n, t][:] = f32(0)
                add_product(to_input, d_gates, d_x[n, t])
            if t:
                add_outer(d_gates, before, d_hh)
                through[:] = f32(0)
                add_product(to_state, d_gates, through)
    return d_x, d_ih, d_hh, d_b, d_b.copy()
