"""The net of a fit, made of what the author of a model has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from skattn.base._checks import check_build_module, check_takes_days
from skattn.base._outputs import Outputs
from skattn.training import (
    SequenceNet,
    TrainingParameters,
    check_side_inputs,
    load_weights,
    make_net,
)

if TYPE_CHECKING:
    from skattn.base._regressor import SequenceRegressor


def make_net_for(
    estimator: SequenceRegressor,
    settings: dict[str, Any],
    parameters: TrainingParameters,
    device: str,
    seed: int,
    outputs: Outputs,
    old: SequenceNet | None = None,
) -> tuple[SequenceNet, list[str]]:
    """Make the net of a regressor, and give the names of the weights that were loaded into it."""
    name, model = type(estimator).__name__, type(estimator)(**settings)
    n_fields = estimator.n_features_in_ if estimator.input_kind_ == "windows" else 1
    check_build_module(model)
    several = {"n_outputs": outputs.n_outputs} if outputs.n_outputs > 1 else {}
    module = model.build_module(estimator.n_steps_in_, n_fields, **several)
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{name}.build_module must give a torch.nn.Module; got {type(module).__name__}."
        )
    if parameters.precision == "float64":
        module.double()
    loaded: list[str] = []
    if old is None and parameters.pretrained is not None:
        estimator.pretrained_report_ = load_weights(module, parameters.pretrained)
        loaded = estimator.pretrained_report_.loaded
    net = make_net(
        parameters,
        module,
        check_side_inputs(model.make_side_inputs(), name),
        device=device,
        seed=seed,
        n_outputs=outputs.n_outputs,
        output_names=outputs.names,
        old=old,
    )
    check_takes_days(type(estimator), net)
    return net, loaded
