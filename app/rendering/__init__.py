"""Pictures of sound: spectrograms, and maps of evidence over them."""
