"""`earshot fit`: a linear head on a shipped network that stays as it is, from few recordings."""
