"""The experiments: a folder each, with a module ``experiment`` and everything that only it needs."""
