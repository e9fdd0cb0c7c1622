"""What `moat.retrieve` is made of: who asks, what an answer is, and the guard around both."""
