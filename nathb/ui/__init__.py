"""What the verbs share: a session with EC2 and the daemon, and what a terminal shows."""
