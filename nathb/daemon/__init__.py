"""The service: the loop of one node, and what it talks to."""
