"""The page "Gemini Files" in Airflow's UI."""
