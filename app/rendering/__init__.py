"""What is drawn, with matplotlib: spectrograms, and what a network listened to in one."""
