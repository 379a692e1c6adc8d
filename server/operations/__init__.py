"""What can be done here: each function takes a session and never commits."""
