"""The cloud: EC2 and the instance metadata service, reduced to what the core asks of them."""
