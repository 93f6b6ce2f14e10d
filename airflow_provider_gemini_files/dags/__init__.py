"""Ready-made Dags."""
