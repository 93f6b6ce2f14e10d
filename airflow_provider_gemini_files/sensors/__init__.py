"""Sensors, in modules named by resource."""
