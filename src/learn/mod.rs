//! Fitting and predicting: the only place that names linfa.
