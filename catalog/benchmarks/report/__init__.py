"""The forms in which a run is shown or stored. A run carries everything that they need."""
