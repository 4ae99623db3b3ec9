"""nathb: two routers watch each other through the path their clients use, and move the route."""

__version__ = "0.1.0"
