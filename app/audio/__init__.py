"""From bytes to spectrogram: decode, resample, cut, STFT, mel, log. NumPy and SciPy only.

The service and the training package call these same functions, so that what was learned
and what is served cannot drift apart.
"""
