"""A VPC made of network namespaces, driven by a real EC2 API: ``with Lab() as lab: ...``.

It runs only inside ``tests/lab/sandbox``, and nothing of it reaches past that.
"""
