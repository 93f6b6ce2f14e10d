"""Tokens and cost of calls to models; pure."""
