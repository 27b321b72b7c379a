"""Transformer: an encoder over the steps of a window, with the output from the last step."""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import nn

from skattn.base import SequenceRegressor, parameter
from skattn.kernels import encode_last_step, encoder_attention, encoder_layer, sinusoids
from skattn.parameters import MAX_LAYERS, MAX_SIZE, MAX_WIDTH


class Transformer(nn.Module):
    """Linear map plus sinusoidal positions, encoder layers, a linear output of the last step.

    The output reads only the last step. The last layer therefore computes only the attention of
    the last step to all steps, and the feed-forward network of the last step.

    Parameters
    ----------
    n_features : int
        Size F of the input at each step.
    d_model : int, default=64
        Size of a step within the encoder, a multiple of ``nhead``.
    nhead : int, default=2
        Number of attention heads.
    num_layers : int, default=2
        Number of encoder layers.
    dim_feedforward : int, default=2048
        Hidden size of the feed-forward networks.
    dropout : float, default=0.0
        Dropout rate of the attention weights, within the feed-forward networks, and of the outputs
        of attention and feed-forward networks.
    n_outputs : int, default=1
        Number of labels K that are predicted.

    Raises
    ------
    ValueError
        ``d_model`` is not a multiple of ``nhead``.

    References
    ----------
    qlib, ``qlib/contrib/model/pytorch_transformer.py``, ``Transformer``: same mathematics and
    same weight names, without qlib's unused ``encoder_layer`` and qlib's table of positions.

    Examples
    --------
    >>> import torch
    >>> from skattn.models import Transformer
    >>> module = Transformer(n_features=6, d_model=8, dim_feedforward=16)
    >>> module(torch.zeros(5, 60, 6)).shape
    torch.Size([5])
    >>> module.attend(torch.zeros(5, 60, 6))["layers"].shape
    torch.Size([5, 2, 2, 60, 60])
    """

    attention_axes: ClassVar[dict] = {"layers": ("layer", "head", "query", "key")}
    # Number of rows at a time with the fastest training on CPU.
    block_rows: ClassVar[int] = 64

    def __init__(
        self,
        n_features: int,
        d_model: int = 64,
        nhead: int = 2,
        num_layers: int = 2,
        dim_feedforward: int = 2048,
        dropout: float = 0.0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        if d_model % nhead:
            raise ValueError(
                f"d_model must be a multiple of nhead, because each head has d_model / nhead "
                f"columns; got d_model={d_model} and nhead={nhead}."
            )
        self.dropout = dropout
        self.feature_layer = nn.Linear(n_features, d_model)
        layer = nn.TransformerEncoderLayer(
            d_model, nhead, dim_feedforward, dropout, batch_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, num_layers, enable_nested_tensor=False
        )
        self.decoder_layer = nn.Linear(d_model, n_outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predict one value, or K values, for each of the B windows.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        predicted : tensor of shape (B,), or (B, K) for several outputs
        """
        dropout = self.dropout if self.training else 0.0
        *_, steps = self._inputs(x, dropout)
        return self.decoder_layer(encode_last_step(self._layers[-1], steps, dropout)).squeeze(-1)

    def attend(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Attention maps, without dropout.

        Parameters
        ----------
        x : tensor of shape (B, T, F)

        Returns
        -------
        maps : dict
            ``layers`` of shape (B, L, H, T, T): for each layer and head, the weights of all steps
            (keys, the last axis) for each step (query). The weights sum to 1 over the keys. The
            output reads the last step only.
        """
        inputs = zip(self._layers, self._inputs(x, dropout=0.0), strict=True)
        return {"layers": torch.stack([encoder_attention(*each) for each in inputs], dim=1)}

    @property
    def _layers(self) -> list[nn.TransformerEncoderLayer]:
        return cast(list, list(self.transformer_encoder.layers))

    def _inputs(self, x: torch.Tensor, dropout: float) -> list[torch.Tensor]:
        """Compute the input (B, T, D) of each encoder layer."""
        steps = self.feature_layer(x)
        inputs = [steps + sinusoids(steps.shape[1], steps.shape[2], x.device)]
        for layer in self._layers[:-1]:
            inputs.append(encoder_layer(layer, inputs[-1], dropout))
        return inputs


class TransformerRegressor(SequenceRegressor):
    """Transformer encoder over the window.

    The network maps each step linearly and adds a sinusoidal position. Encoder layers follow, each
    with attention and a feed-forward network, whose outputs are added to their inputs and
    normalized. A linear output reads the last step.

    References
    ----------
    Vaswani et al. 2017, "Attention Is All You Need", arXiv 1706.03762. qlib,
    ``qlib/contrib/model/pytorch_transformer.py`` and
    ``examples/benchmarks/Transformer/workflow_config_transformer_Alpha360.yaml`` for the defaults,
    which differ from the other models in weight_decay, batch_size, max_epochs and
    n_iter_no_change. (The lr there is 0.0001, which needs more than the few hundred steps of small
    data.)

    Examples
    --------
    >>> import numpy as np
    >>> from skattn import TransformerRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10, 2)).astype("float32")
    >>> y = X[:, -3, 0]
    >>> model = TransformerRegressor(
    ...     d_model=16, dim_feedforward=32, batch_size=50, max_epochs=60, lr=0.01, random_state=0
    ... ).fit(X, y)
    >>> model.predict(X[:2]).shape
    (2,)
    >>> bool(model.score(X, y) > 0.5)
    True
    """

    d_model: int = parameter(
        64,
        at_least=1,
        at_most=MAX_SIZE,
        doc="Size of a step within the encoder, a multiple of ``nhead``.",
    )
    nhead: int = parameter(2, at_least=1, at_most=MAX_SIZE, doc="Number of attention heads.")
    num_layers: int = parameter(2, at_least=1, at_most=MAX_LAYERS, doc="Number of encoder layers.")
    dim_feedforward: int = parameter(
        2048, at_least=1, at_most=MAX_WIDTH, doc="Hidden size of the feed-forward networks."
    )
    dropout: float = parameter(
        0.0,
        at_least=0,
        below=1,
        doc="""
            Dropout rate of the attention weights, within the feed-forward networks, and of the
            outputs of attention and feed-forward networks.""",
    )
    weight_decay: float = 1e-3
    batch_size: int = 2048
    max_epochs: int = 100
    n_iter_no_change: int = 5
    parameters_for_checks = {"d_model": 8, "dim_feedforward": 32}

    def build_module(self, n_steps: int, n_features: int, n_outputs: int = 1) -> Transformer:
        """Make the torch module for windows of this shape."""
        return Transformer(
            n_features,
            self.d_model,
            self.nhead,
            self.num_layers,
            self.dim_feedforward,
            self.dropout,
            n_outputs,
        )
