"""What every implementation of a seam must keep, the real and the fake alike."""
