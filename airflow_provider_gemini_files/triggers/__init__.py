"""Triggers, in modules named by resource."""
