"""From the bytes of a file to samples: libsndfile here, FFmpeg in processes of its own."""
