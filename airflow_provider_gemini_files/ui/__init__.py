"""The page "Gemini Files" of Airflow's UI."""
