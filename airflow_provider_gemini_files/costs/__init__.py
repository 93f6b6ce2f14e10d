"""What calls to models have spent; pure."""
