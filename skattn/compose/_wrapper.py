"""What the meta-estimators over one regressor share."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, is_regressor
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import RegressorTags, Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.validation import check_is_fitted

from skattn.compose._routing import route
from skattn.compose._warm_start import regressor_to_train
from skattn.parameters import MISSING, DeclaredParameters, parameter, shown
from skattn.utils import PanelRegressorTags, takes_unlabelled, warm_start_parameter


class RegressorWrapper(
    DeclaredParameters, CallbackSupportMixin, MetaEstimatorMixin, RegressorMixin, BaseEstimator
):
    """Base class of meta-estimators that train a clone of one regressor.

    Parameters
    ----------
    regressor : scikit-learn regressor
        Regressor to train. It is cloned.
    """

    regressor: Any = parameter(MISSING, positional=True)
    # Methods whose parameters are routed to the method of the same name of the regressor.
    _routed: ClassVar[tuple[str, ...]] = ("fit", "predict")

    def _regressor_to_train(self) -> Any:
        """Check the regressor; clone it, with its ``warm_start=True`` as the last fit left it."""
        if (
            isinstance(self.regressor, type)
            or not hasattr(self.regressor, "__sklearn_tags__")
            or not is_regressor(self.regressor)
        ):
            raise TypeError(
                f"regressor must be a scikit-learn regressor; got {shown(self.regressor)}."
            )
        return regressor_to_train(self.regressor, getattr(self, "regressor_", None))

    def _train(
        self, regressor: Any, rows: tuple[Any, Any], given: tuple[Any, Any], params: dict[str, Any]
    ) -> None:
        """Train the clone on ``rows``, and tell callbacks of it with the X and y that were given.

        Afterwards the clone is ``regressor_``.
        """
        X, y = given
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="fit-regressor")
        with task.propagate_callback_context(regressor):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            regressor.fit(*rows, **params)
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        self.regressor_ = regressor
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(regressor, name):
                setattr(self, name, getattr(regressor, name))
        context.call_on_fit_task_end(estimator=self, X=X, y=y)

    def predict(self, X: Any, **predict_params: Any) -> np.ndarray:
        """Predict with the trained regressor.

        Parameters
        ----------
        X : array-like of n_samples rows
            Input of the regressor.
        **predict_params : object
            Parameters of the regressor's ``predict``.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            What the regressor predicts. A regressor that was trained on scaled labels predicts on
            their scale, of which only the order within a day is meaningful.
        """
        check_is_fitted(self)
        return self.regressor_.predict(X, **route(self, "predict", predict_params))

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing to the regressor, and what this estimator itself can request.

        Returns
        -------
        routing : MetadataRouter
        """
        methods = MethodMapping()
        for name in self._routed:
            methods.add(caller=name, callee=name)
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(regressor=self.regressor, method_mapping=methods)

    def __skattn_warm_start__(self) -> str | None:
        name = warm_start_parameter(self.regressor)
        return None if name is None else f"regressor__{name}"

    def _sk_visual_block_(self) -> Any:
        """Show the regressor that was fitted in diagrams, as scikit-learn's searches do."""
        from sklearn.utils._repr_html.estimator import _VisualBlock

        name = "regressor_" if hasattr(self, "regressor_") else "regressor"
        inner = getattr(self, name)
        names = [f"{name}: {type(inner).__name__}"]
        return _VisualBlock("parallel", [inner], names=names, name_details=[str(inner)])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.regressor)
        tags.input_tags = inner.input_tags
        tags.target_tags.multi_output = inner.target_tags.multi_output
        regressor_tags = inner.regressor_tags or RegressorTags()
        tags.regressor_tags = PanelRegressorTags(
            poor_score=regressor_tags.poor_score, takes_unlabelled=takes_unlabelled(self.regressor)
        )
        return tags
