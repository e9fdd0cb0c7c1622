"""The parts of `moat.retrieve`: who asks, what a result is, and the guard around both."""
