"""Operators, in modules named by resource."""
