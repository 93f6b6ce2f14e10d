"""Notifiers, in modules named by resource."""
