"""How bytes get to the service."""
