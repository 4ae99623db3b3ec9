"""What nathb knows and decides: no I/O, no clock."""
