"""The experiments, one module each: a module here with a `PIPELINE` is listed and can be launched."""
