"""Tools for those who develop the project. The shop does not need them."""
