"""A layer of long short-term memory over all steps, compiled by numba; it never takes the GIL.

The order of the gates is torch's: input i, forget f, cell g, output o. Arrays lie with units before
rows.
"""

from __future__ import annotations

import numba
import numpy as np

from skattn.kernels._numba_rows import (
    ONE,
    OPTIONS,
    f32,
    increase,
    sigmoid_of_sum,
    tanh,
    tanh_of_sum,
)


@numba.njit(**OPTIONS)
def _cell(f, before, i, g, out):
    for k in range(out.size):
        out[k] = f[k] * before[k] + i[k] * g[k]


@numba.njit(**OPTIONS)
def _state(o, cell, out):
    for k in range(out.size):
        out[k] = o[k] * tanh(cell[k])


@numba.njit(**OPTIONS)
def forward(x, w_ih, w_hh, b_ih, b_hh, keep):
    """States (T, H, B), the last cells (H, B) and, with keep, what the backward pass needs."""
    n_steps, _, n_rows = x.shape
    size = w_hh.shape[1]
    bias = b_ih + b_hh
    states = np.empty((n_steps, size, n_rows), f32)
    gates = np.empty((n_steps if keep else 1, 4 * size, n_rows), f32)
    cells = np.empty((n_steps if keep else 2, size, n_rows), f32)
    of_x, of_h = np.empty((4 * size, n_rows), f32), np.empty((4 * size, n_rows), f32)
    before, cell_before = np.zeros((size, n_rows), f32), np.zeros((size, n_rows), f32)
    g0, o0 = 2 * size, 3 * size
    for t in range(n_steps):
        np.dot(w_ih, x[t], of_x)
        np.dot(w_hh, before, of_h)
        gate, cell = gates[t if keep else 0], cells[t if keep else t % 2]
        sigmoid_of_sum(of_x[:g0], of_h[:g0], bias[:g0], gate[:g0])
        tanh_of_sum(of_x[g0:o0], of_h[g0:o0], bias[g0:o0], gate[g0:o0])
        sigmoid_of_sum(of_x[o0:], of_h[o0:], bias[o0:], gate[o0:])
        for j in range(size):
            _cell(gate[size + j], cell_before[j], gate[j], gate[g0 + j], cell[j])
            _state(gate[o0 + j], cell[j], states[t, j])
        before, cell_before = states[t], cell
    return states, cell_before.copy(), gates, cells


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
def backward(x, w_ih, w_hh, states, gates, cells, grad, grad_cell, of_inputs):
    """Gradients of x (empty without of_inputs), w_ih, w_hh, b_ih and b_hh."""
    n_steps, n_in, n_rows = x.shape
    size = w_hh.shape[1]
    d_x = np.empty((n_steps if of_inputs else 0, n_in, n_rows), f32)
    d_ih, d_hh = np.zeros((4 * size, n_in), f32), np.zeros((4 * size, size), f32)
    part_ih, part_hh = np.empty((4 * size, n_in), f32), np.empty((4 * size, size), f32)
    d_b, part_b, ones = np.zeros(4 * size, f32), np.empty(4 * size, f32), np.ones(n_rows, f32)
    d_g = np.empty((4 * size, n_rows), f32)
    d_cell, through = grad_cell.copy(), np.zeros((size, n_rows), f32)
    start, d = np.zeros((size, n_rows), f32), np.empty(n_rows, f32)
    for t in range(n_steps - 1, -1, -1):
        before, cell_before = (states[t - 1], cells[t - 1]) if t else (start, start)
        gate, cell = gates[t], cells[t]
        for j in range(size):
            i, f, g, o = gate[j], gate[size + j], gate[2 * size + j], gate[3 * size + j]
            _total(through[j], grad[t, j], d)
            _of_output(d, cell[j], o, d_g[3 * size + j])
            _increase_by_state(d, cell[j], o, d_cell[j])
            _of_gate(d_cell[j], g, i, d_g[j])
            _of_gate(d_cell[j], cell_before[j], f, d_g[size + j])
            _of_new(d_cell[j], i, g, d_g[2 * size + j])
            _forget(f, d_cell[j])
        np.dot(d_g, x[t].T, part_ih)
        increase(part_ih.ravel(), d_ih.ravel())
        np.dot(d_g, ones, part_b)
        increase(part_b, d_b)
        if of_inputs:
            np.dot(w_ih.T, d_g, d_x[t])
        if t:
            np.dot(d_g, before.T, part_hh)
            increase(part_hh.ravel(), d_hh.ravel())
            np.dot(w_hh.T, d_g, through)
    return d_x, d_ih, d_hh, d_b, d_b.copy()
