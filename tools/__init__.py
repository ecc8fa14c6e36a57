"""Tools that write the documentation. ``make measurements`` runs them; the shop does not need them."""
