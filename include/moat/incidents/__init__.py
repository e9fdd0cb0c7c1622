"""What went wrong, told once: opened, diagnosed, told to people, and over."""
