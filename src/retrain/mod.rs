//! From a signed request to a better model, or to the same one.
