"""From samples to spectrograms: clips, STFT, mel, log. Pure functions on NumPy and SciPy.

The service and the training package call these same functions, so that training and serving
cannot drift apart.
"""
