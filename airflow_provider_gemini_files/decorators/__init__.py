"""TaskFlow decorators, in modules named by resource."""
