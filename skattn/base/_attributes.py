"""The text on what a fit leaves on a regressor."""

ATTRIBUTES = """
        net_ : skattn.training.SequenceNet
            The skorch net, with history, optimizer and callbacks.
        module_ : torch.nn.Module
            The trained module.
        history_ : DataFrame
            What skorch records by epoch: losses, duration (seconds), best epoch so far, and the
            learning rate at the beginning of the epoch (``lr``).
        n_iter_ : int
            Number of epochs that were run.
        fitted_on_ : Bunch
            The rows of the last ``fit`` or ``partial_fit`` that have a label: ``n_rows``,
            ``n_stocks``, ``n_days``, ``first_day`` and ``last_day``, the rows that were held out
            among them. None where the stocks or the days are unknown.
        n_features_in_ : int
            Features F of a window; columns of a 2-D X.
        n_steps_in_ : int
            Steps T of a window.
        feature_names_in_ : ndarray of str
            Names of the columns, where X is a DataFrame.
        n_outputs_ : int
            Number of labels a row.
        output_names_ : ndarray of object
            Names of the labels, where y is a DataFrame of several.
        input_kind_ : str
            What X was in ``fit``: "windows" (three dimensions), "array" or "table" (two).
        pretrained_report_ : Bunch
            Names of the weights that were loaded, missing and unexpected, and the prefix that was
            taken off names, where ``pretrained`` was given.
        row_bits_differ_ : bool
            Whether, as measured after training, a row's prediction depends in some bit on the rows
            that are predicted with it.
        """
