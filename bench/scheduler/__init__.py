"""The control side of a run: plan, tune, start workers, follow them. Imports neither torch nor mlflow."""
